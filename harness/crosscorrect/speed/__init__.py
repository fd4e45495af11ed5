"""How fast frameworks are beside each other: samples, whether the machine was fit, ratios with intervals, verdicts."""
