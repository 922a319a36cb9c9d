// All tables of a page sort.
"use strict";

for (const table of document.querySelectorAll("main table")) Tables.enhance(table);
