import subprocess
import sys

import pytest

from flow3r.errors import ConfigError
from flow3r.evaluation.names import METRICS, check_name, metric

CONTRACT = (
    "rra_5 rra_15 rra_30 rta_5 rta_15 rta_30 auc_5 auc_15 auc_30 ate rpe_translation rpe_rotation "
    "pointmap_mse pointmap_mse_moving pointmap_mse_static chamfer f_score_5 depth_abs_rel "
    "depth_abs_rel_moving depth_abs_rel_static flow_epe flow_epe_moving flow_epe_static"
)


def test_the_names_are_those_agreed_on():
    assert list(METRICS) == CONTRACT.split()
    assert all(check_name(name) == name for name in METRICS)


def test_labels_are_unique_and_fields_are_filled():
    assert len({m.label for m in METRICS.values()}) == len(METRICS)
    for m in METRICS.values():
        assert m.direction in ("up", "down")
        assert m.decimals >= 0


@pytest.mark.parametrize("name", ["rra_15", "auc_30", "f_score_5"])
def test_percentages_go_up(name):
    assert metric(name).unit == "%"
    assert metric(name).better(2.0, 1.0)
    assert not metric(name).better(1.0, 1.0)


def test_errors_go_down():
    assert metric("flow_epe").better(1.0, 2.0)
    assert metric("flow_epe").unit == "px"


def test_an_unknown_metric_names_the_choices():
    with pytest.raises(ConfigError, match=r"rra_10.*rra_15"):
        metric("rra_10")


@pytest.mark.parametrize(
    "name", ["auc@5", "Loss", "a b", "", "a//b", "/a", "delta<1.25", "a-b", "a\n"]
)
def test_names_that_a_tracking_server_may_refuse(name):
    with pytest.raises(ConfigError):
        check_name(name)


@pytest.mark.parametrize("name", ["train/loss", "validation/rra_15", "x"])
def test_good_names(name):
    assert check_name(name) == name


def test_reading_names_needs_no_torch():
    code = "import sys, flow3r.evaluation.names; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
