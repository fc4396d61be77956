"""How far generated images are from real ones: features, their first two moments, the distance between these.

    images --features--> [N, D] --statistics--> (μ, Σ) --frechet--> distance

Each step is a module that knows nothing of the others; the blocks `evaluate` and `diagnose` join them.
"""
