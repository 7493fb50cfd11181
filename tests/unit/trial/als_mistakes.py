"""A small protocol of ALS, and what is said of it when one thing in it is wrong: one row a mistake."""

SMALL = """\
protocol: small
title: A small trial of ALS
disease: als
population: {course: als, care_before_entry: riluzole, eligibility: [symptom_months <= 36, svc_pct >= 60]}
accrual: {start: 2016-01, end: 2017-12, closure: 2019-12}
randomisation: {ratio: {cells: 1, drug: 1}, block_sizes: [4]}
blinding: {patient: open, rater: open}
arms:
  cells:
    n: 10
    regimen:
      - {therapy: nsc, product: foetal-spinal-allogeneic, route: intraspinal, dose_1e6: 8, segments: cervical}
  drug:
    n: 10
    regimen: [{therapy: edaravone}]
visits: {weeks: [0, 12, 24, 48], window_days: 7}
instruments: [svc_pct]
rules:
  - {when: time_to_niv, arm: drug, action: switch, to: masitinib}
  - {hazard: drop_out, per_year: 0.1}
endpoints:
  primary: {id: alsfrs_r_change, estimator: mean_difference, at_years: [0.92]}
  secondary: [{id: tracheostomy_free_survival, estimator: cox}, {id: cafs, estimator: cafs_probability}]
"""

# Text of SMALL, what replaces it, words that the one line must hold.
BAD = [
    ("course: als", "course: rrms", "population.course: course 'rrms' is not of als; valid: als"),
    (
        "care_before_entry: riluzole",
        "care_before_entry: platform_drugs",
        "population.care_before_entry: care 'platform_drugs' is not of als; valid: none, riluzole",
    ),
    (
        "care_before_entry: riluzole",
        "era: 1.2, care_before_entry: riluzole",
        "population.era: means nothing in als; remove it",
    ),
    ("svc_pct >= 60", "edss >= 2", "population.eligibility.1: variable 'edss' is not of als"),
    ("svc_pct >= 60", "svc_pc >= 60", "variable 'svc_pc' is not known; did you mean 'svc_pct'"),
    ("svc_pct >= 60", "onset_site == bulbr", "bulb"),
    ("svc_pct >= 60", "alsfrs_r >= 49", "population.eligibility.1"),
    (
        "course: als,",
        "course: als, resemble: {edss: {mean: 4}},",
        "population.resemble.edss: variable 'edss' is not of als",
    ),
    (
        "course: als,",
        "course: als, resemble: {alsfrs_r: {mean: 60}},",
        "60 lies outside the range of 'alsfrs_r', 0 to 48",
    ),
    ("course: als,", "course: als, resemble: {svc_pct: {mean: 50}},", "nobody eligible has svc_pct <= 50"),
    ("disease: als", "disease: ms", "course 'als' is not of ms"),
    ("disease: als", "disease: asl", "disease: 'asl' is not known"),
    (
        "window_days: 7",
        "window_days: 7, at_relapse: true",
        "visits.at_relapse: there are no relapses in als; remove it",
    ),
    ("when: time_to_niv", "when: relapse", "rules.0.when: there are no relapses in als; name an endpoint"),
    ("per_year: 0.1", "per_year: 0.1, after: relapse", "rules.1.after: there are no relapses in als; name an endpoint"),
    ("when: time_to_niv", "when: time_to_nivv", "did you mean 'time_to_niv'"),
    ("when: time_to_niv", "when: alsfrs_r_change", "no event that a visit can show"),
    (
        "when: time_to_niv",
        "when: confirmed_worsening.12_weeks",
        "rules.0.when: event 'confirmed_worsening.12_weeks' is not of als",
    ),
    (
        "per_year: 0.1",
        "per_year: 0.1, after: confirmed_worsening.12_weeks",
        "rules.1.after: event 'confirmed_worsening.12_weeks' is not of als",
    ),
    ("id: alsfrs_r_change", "id: edss_change", "endpoints.primary.id: endpoint 'edss_change' is not of als"),
    ("id: cafs,", "id: relapse_rate,", "endpoints.secondary.1.id: endpoint 'relapse_rate' is not of als"),
    ("id: cafs, estimator: cafs_probability", "id: cafs, estimator: cox", "cafs"),
    (
        "id: tracheostomy_free_survival, estimator: cox",
        "id: tracheostomy_free_survival, estimator: random_slope",
        "tracheostomy_free_survival",
    ),
    ("at_years: [0.92]", "at_years: [2]", "2 is after the last visit, week 48; use less"),
    ("at_years: [0.92]", "at_years: [0.7]", "0.7 years is near no visit"),
    ("instruments: [svc_pct]", "instruments: [sdmt]", "instruments.0: instrument 'sdmt' is not"),
    ("instruments: [svc_pct]", "instruments: [svc]", "did you mean 'svc_pct'"),
    (
        "{therapy: edaravone}",
        "{therapy: natalizumab}",
        "arms.drug.regimen.0.therapy: 'natalizumab' has no model in als; give one of",
    ),
    ("{therapy: edaravone}", "{therapy: ahsct, conditioning: beam-atg}", "'ahsct' has no model in als"),
    ("{therapy: edaravone}", "{therapy: edaravon}", "did you mean 'edaravone'"),
    ("{therapy: edaravone}", "{therapy: edaravone, dose_ratio: -1}", "arms.drug.regimen.0.dose_ratio"),
    (
        "{therapy: edaravone}",
        "{therapy: edaravone}, {therapy: edaravone}",
        "'edaravone' is given twice at the same time",
    ),
    (
        "{therapy: edaravone}",
        "{therapy: choice, of: {edaravone: 1, fingolimod: 1}}",
        "'fingolimod' has no model in als",
    ),
    (
        "{therapy: edaravone}",
        "{therapy: choice, of: {edaravone: 1, masitinib: 1}, switch_on: relapse}",
        "there are no relapses in als",
    ),
    (
        "{therapy: edaravone}",
        "{therapy: choice, of: {edaravone: 1}, switch_on: time_to_niv, switch_to: fingolimod}",
        "'fingolimod' has no model in als",
    ),
    (
        "{therapy: edaravone}",
        "{therapy: choice, of: {edaravone: 1, masitinib: 1}, switch_on: ppirm}",
        "event 'ppirm' is not known",
    ),
    (
        "{therapy: edaravone}",
        "{therapy: choice, of: {edaravone: 1, masitinib: 1}, switch_on: confirmed_worsening.mist}",
        "arms.drug.regimen.0.switch_on: event 'confirmed_worsening.mist' is not of als",
    ),
    ("to: masitinib", "to: ocrelizumab", "rules.0.to"),
    (
        ", segments: cervical",
        "",
        "arms.cells.regimen.0.segments: in als needles go into a segment, none is said; say one of cervical",
    ),
    ("segments: cervical", "segments: thoracic", "segments"),
    ("route: intraspinal", "route: intrathecal", "arms.cells.regimen.0"),
    (
        "product: foetal-spinal-allogeneic, route: intraspinal, dose_1e6: 8, segments: cervical",
        "product: foetal-allogeneic, route: intracerebroventricular, dose_1e6: 8",
        "arms.cells.regimen.0.route: in als 'nsc' is not given by 'intracerebroventricular'",
    ),
    ("therapy: nsc, product: foetal-spinal-allogeneic", "therapy: nsc, product: bone-marrow-autologous", "product"),
    (
        "therapy: nsc, product: foetal-spinal-allogeneic",
        "therapy: ipsc_opc, product: ipsc-autologous",
        "unknown field of 'ipsc_opc'",
    ),
    ("dose_1e6: 8", "dose_1e6: -8", "dose_1e6: -8 lies outside the range"),
    ("dose_1e6: 8", "dose: 8", "needs its unit in the name"),
    ("disease: als", "disease: als\nascertainment: blind", "ascertainment: "),
    ("disease: als", "disease: als\nrelapse_treatment: none", "relapse_treatment: "),
    ("window_days: 7", "window_days: 7, mri_weeks: [0, 24]", "mri_weeks: "),
]
