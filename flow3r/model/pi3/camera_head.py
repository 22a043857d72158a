"""The camera head (pi3): patch features of one frame to its pose."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from flow3r.geometry.rotation import rotation_from_nine
from flow3r.geometry.se3 import make_transform


class ResidualUnit(nn.Module):
    """x + relu(L3(relu(L2(relu(L1(x)))))), per token; linear in spite of the released names."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv1 = nn.Linear(width, width)
        self.res_conv2 = nn.Linear(width, width)
        self.res_conv3 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.res_conv2(functional.relu(self.res_conv1(x))))
        return x + functional.relu(self.res_conv3(inner))


class CameraHead(nn.Module):
    """Two residual units, the mean over patches, an MLP, then translation and nine numbers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv = nn.ModuleList([ResidualUnit(width), ResidualUnit(width)])
        self.more_mlps = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.fc_t = nn.Linear(width, 3)
        self.fc_rot = nn.Linear(width, 9)

    def forward(self, patches: Tensor) -> Tensor:
        """[F, L, C] -> world_from_camera [F, 4, 4]; translation in the prediction's own scale."""
        for unit in self.res_conv:
            patches = unit(patches)
        pooled = self.more_mlps(patches.mean(dim=1))
        return make_transform(rotation_from_nine(self.fc_rot(pooled)), self.fc_t(pooled))
