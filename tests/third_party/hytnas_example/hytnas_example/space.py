"""A space of the family that this package brings."""

from hytnas_datasets.spaces import Space, Variable

CHAINS = Space(
    "example-chains",
    (
        Variable("body.blocks", (1, 2, 3, 4)),
        Variable("body.expand", (1, 2, 4)),
        Variable("body.channels", (8, 16, 24, 32, 48)),
    ),
    family="example-chain",
    channel_caps=(("body", 32),),
)
