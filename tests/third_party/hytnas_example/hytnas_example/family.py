"""A family of networks: a stem, one stage of inverted residuals, and a classifier."""

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families import Family
from hytnas_datasets.plan import Task
from hytnas_datasets.plan.stages import ConvolutionStage, Head, Stem


class ChainFamily(Family):
    name = "example-chain"
    stages = ("stem", "body", "head")
    default_task = Task(resolution=32, classes=10)

    def check(self, space):
        known = {"body.blocks", "body.expand", "body.channels"}
        if {variable.name for variable in space.variables} != known:
            raise SpaceError(f"Family {self.name!r} has the variables {', '.join(sorted(known))}")
        if unknown := {stage for stage, _ in space.channel_caps} - {"body"}:
            raise SpaceError(f"Family {self.name!r} has no stage {min(unknown)!r} to cap")

    def build_stages(self, values, task, channel_caps):
        channels = min(values["body.channels"], channel_caps.get("body", values["body.channels"]))
        body = ConvolutionStage(
            "body", 2, channels, expand=values["body.expand"], blocks=values["body.blocks"]
        )
        return Stem(task.in_channels, 1), body, Head(task.classes)


CHAIN = ChainFamily()
