"""Tables that others made, as spaces without networks and labels: read, checked, and told what is wrong."""

from hytnas_datasets.importing.foreign_table import ForeignTable, read_foreign_table
from hytnas_datasets.importing.import_table import (
    Imported,
    TableColumns,
    candidates_of,
    import_released,
    import_table,
)

__all__ = [
    "ForeignTable",
    "Imported",
    "TableColumns",
    "candidates_of",
    "import_released",
    "import_table",
    "read_foreign_table",
]
