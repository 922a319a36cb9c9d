"""r"""
def compare() -> None:
    "r"
