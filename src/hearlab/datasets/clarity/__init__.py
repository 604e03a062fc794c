"""What the challenge's packages hold, as stage prepare looks for it.

dvc.yaml names this folder, or `demo` beside it, as what stage prepare depends on: DVC copies all linked data before it
runs such a stage again, 240 GB for the real ones, so a change in the demo world must not be a reason.
"""

# The folders of a split.
PARTS = ("rooms/ac", "rooms/rpf", "rooms/HOA_IRs", "targets", "interferers", "scenes")
