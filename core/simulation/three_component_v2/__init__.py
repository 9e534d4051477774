"""`three_component_v2`: many companies a bucket, bound together by Gaussian copulas, arrays all through.

A company's latent normal variable is a sum of three: the economy's regime, its sector's factor and an idiosyncratic
one. It decides the company's multiple; regime and sector also tilt whether companies fail. Under the calibration's
reference regimes every marginal (funnel, median, 90th percentile) stays exactly as calibrated, whatever the
correlations.

    factors         the common factors: their shares of variance, their distribution, their draws
    path            exits and failures by number of graduations, and the tilt of a scenario
    exit_map        the map from a company's latent variable to its rank among the exits
    company         one company: what its draws say, and what it returns; compiled
    prepared_model  everything that is the same in all scenarios, made once
    blocks          any scenarios alone: the same bytes however they are divided
    generation      whole matrices and scenarios out of sample
    explanation     one entry of the matrix, company by company, adding up to the last bit
"""
