"""What can be sampled (spaces, architectures, layer plans) and what was measured (the study store).

Draw architectures with `get_space` and `Space.sample`, count what they cost with `build_plan`, and read
labels from a `Study` or from a data set in files (`read_set`). Names are imported when they are first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_datasets.bundled import set_folder as set_folder
    from hytnas_datasets.errors import DataSetError as DataSetError
    from hytnas_datasets.errors import NotEnoughDataError as NotEnoughDataError
    from hytnas_datasets.errors import PlanError as PlanError
    from hytnas_datasets.errors import SpaceError as SpaceError
    from hytnas_datasets.errors import StudyError as StudyError
    from hytnas_datasets.families import Family as Family
    from hytnas_datasets.families import list_families as list_families
    from hytnas_datasets.label_context import LabelContext as LabelContext
    from hytnas_datasets.label_context import ModelFiles as ModelFiles
    from hytnas_datasets.labelled import LabelledSet as LabelledSet
    from hytnas_datasets.plan import LayerPlan as LayerPlan
    from hytnas_datasets.plan import Task as Task
    from hytnas_datasets.plan import build_plan as build_plan
    from hytnas_datasets.portable import DataSheet as DataSheet
    from hytnas_datasets.portable import read_set as read_set
    from hytnas_datasets.portable import read_sheet as read_sheet
    from hytnas_datasets.portable import write_set as write_set
    from hytnas_datasets.spaces import Architecture as Architecture
    from hytnas_datasets.spaces import Space as Space
    from hytnas_datasets.spaces import Variable as Variable
    from hytnas_datasets.spaces import get_space as get_space
    from hytnas_datasets.spaces import list_spaces as list_spaces
    from hytnas_datasets.spaces import load_toml as load_toml
    from hytnas_datasets.spaces import to_toml as to_toml
    from hytnas_datasets.spaces.released import read_released as read_released
    from hytnas_datasets.store import Study as Study
    from hytnas_datasets.targets import TARGETS as TARGETS
    from hytnas_datasets.targets import Target as Target
    from hytnas_datasets.targets import get_target as get_target
    from hytnas_datasets.work import WORK_COLUMNS as WORK_COLUMNS
    from hytnas_datasets.work import work_of as work_of

_EXPORTS = {
    "hytnas_datasets.bundled": ("set_folder",),
    "hytnas_datasets.errors": ("DataSetError", "NotEnoughDataError", "PlanError", "SpaceError", "StudyError"),
    "hytnas_datasets.families": ("Family", "list_families"),
    "hytnas_datasets.label_context": ("LabelContext", "ModelFiles"),
    "hytnas_datasets.labelled": ("LabelledSet",),
    "hytnas_datasets.plan": ("LayerPlan", "Task", "build_plan"),
    "hytnas_datasets.portable": ("DataSheet", "read_set", "read_sheet", "write_set"),
    "hytnas_datasets.spaces": (
        "Architecture",
        "Space",
        "Variable",
        "get_space",
        "list_spaces",
        "load_toml",
        "to_toml",
    ),
    "hytnas_datasets.spaces.released": ("read_released",),
    "hytnas_datasets.store": ("Study",),
    "hytnas_datasets.targets": ("TARGETS", "Target", "get_target"),
    "hytnas_datasets.work": ("WORK_COLUMNS", "work_of"),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
