import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from diffrun_contracts.params import Sampler, SamplerName, TimestepSpacing
from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.schedules import MAX_SNR, Schedule, signal_to_noise

LINEAR = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear", "num_train_timesteps": 1000}
CALLS_FOR_TEN_STEPS = {SamplerName.HEUN_DISCRETE: 19, SamplerName.PNDM: 7 + 12}


def closed_form() -> np.ndarray:
    """ᾱ_t = Π (1 − β_s) of the linear schedule, in float64."""
    return np.cumprod(1 - np.linspace(0.0001, 0.02, 1000, dtype=np.float64))


def schedule(name: SamplerName, steps: int = 10, **config: object) -> Schedule:
    return Schedule({**LINEAR, **config}, Sampler(name=name, steps=steps, timestep_spacing=TimestepSpacing.LEADING))


def test_ddim_in_ten_steps_visits_900_down_to_0_unless_told_otherwise() -> None:
    assert Schedule(LINEAR, Sampler()).timesteps.tolist() == list(range(900, -1, -100))


def test_a_spacing_overrides_that_of_a_scheduler_which_has_only_its_default() -> None:
    built = DDIMScheduler.from_config(LINEAR)
    trailing = Schedule(dict(built.config), Sampler(timestep_spacing=TimestepSpacing.TRAILING))
    assert trailing.timesteps.tolist() == list(range(999, 0, -100))
    assert trailing.described["timestep_spacing"] == "trailing"


def test_the_last_noise_level_of_ddim_is_the_first_beta_and_its_snr_is_clamped() -> None:
    ddim = Schedule(LINEAR, Sampler())
    assert ddim.noise_levels[-1] == pytest.approx(1e-4, rel=1e-3)
    assert ddim.snrs[-1] == MAX_SNR
    assert ddim.snrs[0] == pytest.approx(closed_form()[900] / (1 - closed_form()[900]), rel=1e-4)


@pytest.mark.parametrize("name", SamplerName)
def test_every_sampler_reports_the_closed_form_noise_level_of_the_timesteps_it_visits(name: SamplerName) -> None:
    levels = schedule(name)
    expected = 1 - closed_form()[levels.timesteps.long().numpy()]
    np.testing.assert_allclose(levels.noise_levels, expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", SamplerName)
def test_the_number_of_calls_is_known_beforehand(name: SamplerName) -> None:
    assert schedule(name).calls == CALLS_FOR_TEN_STEPS.get(name, 10)


@pytest.mark.parametrize(("alpha", "snr"), [(0.5, 1.0), (0.8, 4.0), (0.0, 0.0), (0.9995, 1000.0), (1.0, 1000.0)])
def test_the_signal_to_noise_ratio_is_clamped_at_1000(alpha: float, snr: float) -> None:
    assert signal_to_noise(alpha) == pytest.approx(snr)


def noised(alpha: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    clean, noise = torch.randn(2, 2, 1, 4, 4, dtype=torch.float64, generator=generator)
    return clean, noise, math.sqrt(alpha) * clean + math.sqrt(1 - alpha) * noise


@pytest.mark.parametrize("name", [SamplerName.DDIM, SamplerName.DPM_SOLVER_MULTISTEP, SamplerName.EULER_DISCRETE])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_what_a_model_predicts_is_turned_into_the_noise(name: SamplerName, prediction: str) -> None:
    levels = schedule(name, prediction_type=prediction)
    for call in range(levels.calls):
        alpha = levels.alphas_cumprod[call]
        clean, noise, noisy = noised(alpha)
        velocity = math.sqrt(alpha) * noise - math.sqrt(1 - alpha) * clean
        output = {"epsilon": noise, "sample": clean, "v_prediction": velocity}[prediction]
        torch.testing.assert_close(levels.predicted_noise(call, noisy, output), noise, rtol=0, atol=1e-9)


def test_each_batch_gets_a_scheduler_without_memory_of_the_last() -> None:
    multistep = schedule(SamplerName.DPM_SOLVER_MULTISTEP)
    first = multistep.start()
    first.step(torch.ones(1, 1, 2, 2), first.timesteps[0], torch.ones(1, 1, 2, 2))
    assert first.lower_order_nums == 1
    assert multistep.start().lower_order_nums == 0


@pytest.mark.parametrize(
    ("sampler", "config", "message"),
    [
        (Sampler(steps=11), {"num_train_timesteps": 10}, "sampler.steps: DDIM takes 1 to 10 steps with this model"),
        (Sampler(name=SamplerName.PNDM, steps=3), {}, "sampler.steps: PNDM takes 4 to 1000 steps"),
        (Sampler(name=SamplerName.DDPM, eta=0.5), {}, "sampler.eta: only DDIM takes an eta other than 0"),
        (Sampler(timestep_spacing=TimestepSpacing.LINSPACE), {}, "sampler.timestepSpacing: DDIM steps wrongly"),
        (
            Sampler(name=SamplerName.EULER_ANCESTRAL_DISCRETE),
            {"prediction_type": "sample"},
            "EulerAncestralDiscrete cannot denoise a model with prediction_type 'sample'; use one of DDIM",
        ),
        (Sampler(), {"prediction_type": "magic"}, "prediction_type 'magic'; use one of another model"),
        (Sampler(), {"beta_schedule": "magic"}, "scheduler_config.json does not describe a noise schedule"),
        (Sampler(name=SamplerName.UNI_PC_MULTISTEP), {"use_flow_sigmas": True}, "flow-matching models"),
        (Sampler(), {"num_train_timesteps": 10**12}, "num_train_timesteps is 1000000000000; it must be a whole number"),
        (
            Sampler(),
            {"timestep_spacing": "x"},
            "timestep_spacing is 'x'; it must be one of leading, trailing, linspace",
        ),
        (
            Sampler(steps=1000),
            {"steps_offset": 1},
            "sampler.steps: DDIM in 1000 steps begins at timestep 1000 with this model's steps_offset 1, and its last "
            "is 999; take fewer steps",
        ),
        (
            Sampler(name=SamplerName.EULER_DISCRETE),
            {"sigma_min": "x", "sigma_max": "y", "use_karras_sigmas": True},
            "scheduler_config.json does not describe a noise schedule that EulerDiscrete takes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_sampler_cannot_do_is_refused_by_name(sampler: Sampler, config: dict[str, object], message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        Schedule({**LINEAR, **config}, sampler)
    assert message in caught.value.message


def walk(scheduler: Any) -> None:
    sample = torch.ones(1, 1, 2, 2)
    for timestep in scheduler.timesteps:
        scheduler.scale_model_input(sample, timestep)
        sample = scheduler.step(torch.ones(1, 1, 2, 2), timestep, sample).prev_sample


@pytest.mark.parametrize("name", SamplerName)
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_the_table_of_predictions_is_what_diffusers_steps_take(name: SamplerName, prediction: str) -> None:
    try:
        allowed = schedule(name, prediction_type=prediction)
    except PermanentError:
        refused = schedule(name)  # the same schedule, asked behind the table's back
        refused._config["prediction_type"] = prediction
        with pytest.raises((NotImplementedError, ValueError)):
            walk(refused._first_start())
    else:
        walk(allowed.start())
