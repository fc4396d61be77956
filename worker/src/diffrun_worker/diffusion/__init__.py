"""The forward process and the objective of denoising diffusion (Ho et al. 2020).

    process   noise schedules, q(x_t | x₀) and its inverse   (GaussianDiffusion)
    loss      the mean squared error of ε, plain or weighted (ddpm_loss)

Sampling, the reverse process, is `diffrun_worker.sampling`. Nothing here knows of blocks, data or networks.
"""
