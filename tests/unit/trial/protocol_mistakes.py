"""A small protocol, and what is said of it when one thing in it is wrong: one row a mistake."""

# ruff: noqa: E501

SMALL = """\
protocol: small
title: A small trial
disease: ms
population: {course: rrms, care_before_entry: none, eligibility: [edss <= 6, age_years >= 18]}
accrual: {start: 2010-01, end: 2012-01, closure: 2015-01}
randomisation: {ratio: {graft: 1, drug: 2}, block_sizes: [3, 6]}
blinding: {patient: open, rater: blind}
arms:
  graft: {n: 10, regimen: [{therapy: ahsct, conditioning: beam-atg, day: 30}]}
  drug:
    n: 20
    regimen:
      - {therapy: choice, of: {natalizumab: 2, fingolimod: 1}, switch_on: relapse}
visits: {months: [0, 6, 12, 24], window_days: 30}
rules:
  - {when: edss_change, arm: drug, action: cross_over, to: graft, from_month: 12, share: 0.5}
  - {hazard: drop_out, per_year: 0.03}
endpoints:
  primary: {id: edss_change, estimator: cox}
  secondary: [{id: edss, estimator: mean, at_years: [1, 2]}, {id: relapse_rate, estimator: rate}]
sources: {visits.months: assumed}
"""

# Text of SMALL, what replaces it, the text at which the error must point ('' for the start of the file), the message.
# fmt: off
BAD = [
    ('n: 10', 'n: 0', 'n: 0', 'arms.graft.n: must be greater than or equal to 1, not 0; mend it'),
    ('n: 10', 'n: ten', 'n: ten', "arms.graft.n: must be a whole number, not 'ten'; mend it"),
    ('n: 10', 'n: true', 'n: true', 'arms.graft.n: must be a whole number, not True; mend it'),
    ('n: 10, ', '', 'graft: {regimen', 'arms.graft.n: is missing; add it'),
    ('n: 10', 'size: 10', 'size:', 'arms.graft.size: unknown key; valid: n, population, regimen'),
    ('arms:\n  graft', 'arms:\n  Graft', 'Graft', "arms.Graft: must be a name of at most 24 small letters, digits and _, starting with a letter, not 'Graft'; mend it"),
    ('ratio: {graft: 1, drug', 'ratio: {graft: 1, drgu', 'drgu', "randomisation.ratio.drgu: arm 'drgu' does not exist; did you mean 'drug'?"),
    ('graft: 1, drug: 2', 'graft: 3', 'ratio', "randomisation.ratio: lacks the arm 'drug'; add its share"),
    ('block_sizes: [3, 6]', 'block_sizes: [3, 4]', '4]}\nblinding', 'randomisation.block_sizes.1: 4 is no multiple of 3, the sum of the ratio; use one'),
    ('randomisation: {ratio: {graft: 1, drug: 2}, block_sizes: [3, 6]}', '', '', 'randomisation: is missing; several arms need a ratio and block_sizes, or design: observational'),
    ('randomisation: {ratio', 'design: observational\nrandomisation: {ratio', 'randomisation', 'randomisation: means nothing with design: observational, where nobody is randomised; remove it'),
    ('randomisation: {ratio: {graft: 1, drug: 2}, block_sizes: [3, 6]}', 'design: single_arm', 'design', 'design: single_arm has one arm, the protocol 2; use randomised or observational'),
    ('n: 10, ', 'n: 10, population: {course: spms}, ', 'population: {course: s', 'arms.graft.population: is for arms of design: observational; randomised arms come from one population, so remove it'),
    ('disease: ms', 'disease: ms\ndesign: observationl', 'design', "design: 'observationl' is not known; did you mean 'observational'?"),
    ('course: rrms', 'course: {rrms: 0.48, spms: 0.53}', 'course', 'population.course: the shares of the courses sum to 1.01, not 1; mend them'),
    ('course: rrms', 'course: {rrms: 0.4, smps: 0.6}', 'smps', "population.course.smps: 'smps' is not known; did you mean 'spms'?"),
    ('course: rrms', 'course: rrms, resemble: {edss: {mean: 12}}', 'mean', "population.resemble.edss.mean: 12 lies outside the range of 'edss', 0 to 9.5 (EDSS); use a value inside it"),
    ('course: rrms', 'course: rrms, resemble: {edss: {mean: 6.5}}', 'mean', "population.resemble.edss.mean: nobody eligible has edss >= 6.5, so that no mean can be that; use a value that the eligibility allows"),
    ('course: rrms', 'course: rrms, resemble: {edss: {mean: 4, sd: 0}}', 'sd', 'population.resemble.edss.sd: must be greater than 0, not 0; mend it'),
    ('course: rrms', 'course: rrms, resemble: {eds: {mean: 4}}', 'eds:', "population.resemble.eds: variable 'eds' is not known; did you mean 'edss'?"),
    ('course: rrms', 'course: rrms, resemble: {edss: 4}', 'edss: 4', "population.resemble.edss: must be a mapping, 'name: value', not 4; mend it"),
    ('sources: {', 'claims: [c001, c9]\nsources: {', 'c9]', "claims.1: claim 'c9' is not known; did you mean 'c049' or 'c039' or 'c029'?"),
    ('sources: {', 'beside: [burt2019_mits]\nsources: {', 'burt2019_mits', "beside.0: study 'burt2019_mits' is not known; did you mean 'burt2019_mist' or 'burt2015_jama' or 'burt2021_507'?"),
    ('randomisation', 'randomization', 'randomization', "randomization: unknown key; did you mean 'randomisation'?"),
    ('[0, 6, 12, 24]', '[0, 12, 6, 24]', '6, 24', 'visits.months.2: 6 does not come after 12; list the months in ascending order'),
    ('[0, 6, 12, 24]', '[1, 6, 12, 24]', '1, 6', 'visits.months.0: the first visit is at month 1; begin with 0, the randomisation'),
    ('window_days: 30', 'window_days: 92', 'window_days', 'visits.window_days: 92 days let the visits of months 0 and 6 change places; use at most 90'),
    ('window_days: 30', 'mri_months: [0, 9]', '9]}\nrules', 'visits.mri_months.1: 9 is no visit; use months of visits.months'),
    ('window_days: 30', 'at_relapse: yes', 'at_relapse', "visits.at_relapse: must be true or false, not 'yes'; mend it"),
    ('months: [0, 6, 12, 24]', 'months: [0, 6, 12, 24], weeks: [0, 26, 52, 104]', 'months: [0', 'visits.months: stands beside weeks; remove it and use weeks'),
    ('months: [0, 6, 12, 24], ', '', 'visits', 'visits.months: is missing; list the visits as months or as weeks'),
    ('months: [0, 6, 12, 24]', 'weeks: []', 'weeks', 'visits.weeks: is missing; list the visits as months or as weeks'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 52, 26, 104]', '26, 104', 'visits.weeks.2: 26 does not come after 52; list the weeks in ascending order'),
    ('months: [0, 6, 12, 24]', 'weeks: [2, 26, 104]', '2, 26', 'visits.weeks.0: the first visit is at week 2; begin with 0, the randomisation'),
    ('months: [0, 6, 12, 24]', 'weeks: [0]', 'weeks', 'visits.weeks: the randomisation alone follows nobody; add a later week'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 8, 52, 104]', 'window_days', 'visits.window_days: 30 days let the visits of weeks 0 and 8 change places; use at most 27'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 52, 104], mri_weeks: [0, 50]', '50]', 'visits.mri_weeks.1: 50 is no visit; use weeks of visits.weeks'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 52, 104], mri_months: [0, 12]', 'mri_months', 'visits.mri_months: stands beside weeks; remove it and use mri_weeks'),
    ('window_days: 30', 'mri_weeks: [0, 26]', 'mri_weeks', 'visits.mri_weeks: needs visits in weeks; use mri_months, or write the visits as weeks'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 52, 72]', '2]},', 'endpoints.secondary.0.at_years.1: 2 is after the last visit, week 72; use less'),
    ('months: [0, 6, 12, 24]', 'weeks: [0, 24, 96]', '1, 2]}', 'endpoints.secondary.0.at_years.0: 1 years is near no visit; add week 52 to visits.weeks'),
    ('disease: ms', 'disease: ms\nascertainment: opne', 'ascertainment', "ascertainment: 'opne' is not known; did you mean 'open'?"),
    ('disease: ms', 'disease: ms\nrelapse_treatment: prednisolone', 'relapse_treatment', "relapse_treatment: 'prednisolone' is not known; did you mean 'methylprednisolone'?"),
    ('disease: ms', 'disease: ms\ninstruments: [sdmt, t25fw]', 't25fw]', "instruments.1: instrument 't25fw' is not known; did you mean 't25fw_s'?"),
    ('arm: drug, action', 'arm: drug, arms: [drug], action', 'arms: [drug]', "rules.0.arms: stands beside arm 'drug'; keep one of the two"),
    ('arm: drug, action', 'arms: [drug, drgu], action', 'drgu', "rules.0.arms.1: arm 'drgu' does not exist; did you mean 'drug'?"),
    ('to: graft', 'to: {therapy: natalizumab}', 'to: {', 'rules.0.to: must name an arm with action cross_over; use action switch for a therapy'),
    ('cross_over, to: graft', 'add', '{when', 'rules.0.to: is missing; action add needs the therapy to go to'),
    ('cross_over, to: graft', 'stop, to: graft', 'to: graft', 'rules.0.to: means nothing with action stop; remove it'),
    ('cross_over, to: graft', 'add, to: ahsct', 'to: ahsct', "rules.0.to: 'ahsct' needs the field 'conditioning'; write {therapy: ahsct, conditioning: ..}"),
    ('cross_over, to: graft', 'switch, to: {therapy: natalizumab, day: -1}', 'day: -1', 'rules.0.to.day: -1 lies outside the range from 0 to 40000 (d); use a value inside it'),
    ('cross_over, to: graft', 'switch, to: {therapy: choice, of: {natalizumab: 1}, switch_on: relapse}', 'switch_on: relapse}, from', 'rules.0.to.switch_on: means nothing in a rule, which acts once; remove it'),
    ('per_year: 0.03', 'per_year: 0.03, arm: drugs', 'arm: drugs', "rules.1.arm: arm 'drugs' does not exist; did you mean 'drug'?"),
    ('per_year: 0.03', 'per_year: 0.03, after: relapses', 'after', "rules.1.after: event 'relapses' is not known; did you mean 'relapse' or 'relapse_rate'?"),
    ('start: 2010-01', 'start: 2010-13', 'start', "accrual.start: must be a month written YYYY-MM, not '2010-13'; mend it"),
    ('end: 2012-01', 'end: 2009-12', 'end:', 'accrual.end: 2009-12 is before accrual.start 2010-01; put start, end, closure in order'),
    ('closure: 2015-01', 'closure: 2011-12', 'closure', 'accrual.closure: 2011-12 is before accrual.end 2012-01; put start, end, closure in order'),
    ('therapy: ahsct', 'therapy: ahst', 'therapy', "arms.graft.regimen.0.therapy: therapy 'ahst' is not known; did you mean 'ahsct'?"),
    ('day: 30', 'cells: 5', 'cells', 'arms.graft.regimen.0.cells: needs its unit in the name; use cells_1e6_per_kg'),
    ('day: 30', 'cells_1e6_per_kg: -5', 'cells_1e6_per_kg', 'arms.graft.regimen.0.cells_1e6_per_kg: -5 lies outside the range from 2 to 20 (1e6 CD34+ cells/kg); use a value inside it'),
    ('day: 30', 'cells_1e6_per_kg: 5 million', 'cells_1e6_per_kg', "arms.graft.regimen.0.cells_1e6_per_kg: must be a number from 2 to 20 (1e6 CD34+ cells/kg), not '5 million'; mend it"),
    ('day: 30', 'dose: 5', 'dose', "arms.graft.regimen.0.dose: unknown field of 'ahsct'; valid: cd34_selected, cells_1e6_per_kg, centre_transplants, conditioning, day, mobilisation"),
    ('day: 30', 'day: -1', 'day:', 'arms.graft.regimen.0.day: -1 lies outside the range from 0 to 40000 (d); use a value inside it'),
    ('day: 30', 'day: 731', 'day:', 'arms.graft.regimen.0.day: day 731 is after the last visit, day 730; start earlier'),
    ('conditioning: beam-atg', 'conditioning: beam-agt', 'conditioning', "arms.graft.regimen.0.conditioning: 'beam-agt' is not known; did you mean 'beam-atg' or 'beam'?"),
    ('conditioning: beam-atg, ', '', '{therapy', "arms.graft.regimen.0.conditioning: is missing from 'ahsct'; add one of cyclophosphamide-atg, cyclophosphamide-rituximab, beam-atg, busulfan-cyclophosphamide-atg, cyclophosphamide-alemtuzumab, reduced-beam-atg, beam, tbi-cyclophosphamide-atg"),
    ('therapy: ahsct, conditioning: beam-atg, day: 30', 'therapy: natalizumab, day: 30, stop_day: 30', 'stop_day', 'arms.graft.regimen.0.stop_day: 30 is not after day 30; stop later or start earlier'),
    ('of: {natalizumab: 2', 'of: {natalizumb: 2', 'natalizumb', "arms.drug.regimen.0.of.natalizumb: therapy 'natalizumb' is not known; did you mean 'natalizumab'?"),
    ('of: {natalizumab: 2', 'of: {natalizumab: 0', 'natalizumab', 'arms.drug.regimen.0.of.natalizumab: must be greater than 0, not 0; mend it'),
    ('of: {natalizumab: 2', 'of: {ahsct: 2', 'ahsct:', "arms.drug.regimen.0.of.ahsct: 'ahsct' needs the field 'conditioning', which a choice cannot give; use an arm"),
    ('switch_on: relapse', 'switch_on: relapses', 'switch_on', "arms.drug.regimen.0.switch_on: event 'relapses' is not known; did you mean 'relapse' or 'relapse_rate'?"),
    ('switch_on: relapse', 'switch_to: remainder', 'switch_to', "arms.drug.regimen.0.switch_to: therapy 'remainder' is not known; did you mean 'remaining' or 'clemastine'?"),
    ('when: edss_change', 'when: edss_chang', 'when', "rules.0.when: event 'edss_chang' is not known; did you mean 'edss_change'?"),
    ('arm: drug', 'arm: drugs', 'arm:', "rules.0.arm: arm 'drugs' does not exist; did you mean 'drug'?"),
    ('to: graft', 'to: grfat', 'to: grfat', "rules.0.to: arm 'grfat' does not exist; did you mean 'graft'?"),
    ('to: graft', 'to: drug', 'to: drug', "rules.0.to: 'drug' is the arm itself; name another arm"),
    ('to: graft, ', '', '{when', 'rules.0.to: is missing; action cross_over needs the arm to go to'),
    ('cross_over, to: graft', 'switch', '{when', 'rules.0.to: is missing; action switch needs the therapy to go to'),
    ('cross_over, to: graft', 'switch, to: natalizumb', 'to: natalizumb', "rules.0.to: therapy 'natalizumb' is not known; did you mean 'natalizumab'?"),
    ('cross_over, to', 'withdraw, to', 'to: graft', 'rules.0.to: means nothing with action withdraw; remove it'),
    ('action: cross_over', 'action: crossover', 'action', "rules.0.action: 'crossover' is not known; did you mean 'cross_over'?"),
    ('from_month: 12', 'from_month: 24', 'from_month', 'rules.0.from_month: 24 is not before the last visit, 24; use less'),
    ('share: 0.5', 'share: 50', 'share', 'rules.0.share: must be less than or equal to 1, not 50; mend it'),
    ('hazard: drop_out', 'hazard: dropout', 'hazard', "rules.1.hazard: 'dropout' is not known; did you mean 'drop_out'?"),
    ('hazard: drop_out', 'hasard: drop_out', 'hasard', "rules.1.hasard: unknown key; did you mean 'hazard'?"),
    ('per_year: 0.03', 'per_year: -0.03', 'per_year', 'rules.1.per_year: must be greater than or equal to 0, not -0.03; mend it'),
    ('per_year: 0.03', 'per_year: 0.03, per_point: -0.1', 'per_point', 'rules.1.per_point: must be greater than or equal to 0, not -0.1; mend it'),
    ('per_year: 0.03', 'per_year: 0.03, per_point: 5', 'per_point', 'rules.1.per_point: must be less than or equal to 1, not 5; mend it'),
    ('per_year: 0.03', 'per_year: 0, per_point: 0.1', 'per_point', 'rules.1.per_point: means nothing with per_year 0, which it multiplies; give both, or remove it'),
    ('per_year: 0.03', 'per_year: 0.03, per_point: 0.1, after: relapse', 'per_point', "rules.1.per_point: does not go with 'after', since an event is no score; write two rules"),
    ('per_year: 0.03', 'per_year: 0.03, from_month: 6, to_month: 6', 'to_month', 'rules.1.to_month: 6 is not after from_month 6; put them in order'),
    ('id: edss,', 'id: eds,', 'id: eds,', "endpoints.secondary.0.id: endpoint 'eds' is not known; did you mean 'edss'?"),
    ('estimator: cox', 'estimator: kaplan-meier', 'estimator', "endpoints.primary.estimator: 'kaplan-meier' is not known; did you mean 'kaplan_meier' or 'kaplan_meier_complement'?"),
    ('estimator: cox', 'estimator: kaplan_meier', 'primary', 'endpoints.primary.at_years: is missing; kaplan_meier needs times, e.g. at_years: [1, 2]'),
    ('estimator: cox', 'estimator: cox, at_years: [1]', 'at_years', 'endpoints.primary.at_years: means nothing with cox, which uses the whole follow-up; remove it'),
    ('estimator: cox', 'estimator: cox, pooled: true', 'pooled', 'endpoints.primary.pooled: means nothing with cox, which compares arms; remove it'),
    ('at_years: [1, 2]', 'at_years: [2, 1]', '1]},', 'endpoints.secondary.0.at_years.1: 1 does not come after 2; list the years in ascending order'),
    ('at_years: [1, 2]', 'at_years: [1, 3]', '3]},', 'endpoints.secondary.0.at_years.1: 3 is after the last visit, month 24; use less'),
    ('at_years: [1, 2]', 'at_years: [1.5]', '1.5]', 'endpoints.secondary.0.at_years.0: 1.5 years is near no visit; add month 18 to visits.months'),
    ('id: relapse_rate, estimator: rate', 'id: edss_change, estimator: cox', 'id: edss_change, estimator: cox}]', "endpoints.secondary.1.id: 'edss_change' with cox stands twice; join their at_years"),
    ('estimator: rate', 'estimator: rate, predicts: [burt2019_mist#1]', 'burt2019_mist', "endpoints.secondary.1.predicts.0: 'burt2019_mist#1' is not of the study in 'reproduces' (None); name one"),
    ('estimator: rate', 'estimator: rate, predicts: [one]', 'one]', "endpoints.secondary.1.predicts.0: must be an outcome written STUDY#NUMBER, not 'one'; mend it"),
    ('estimator: rate', 'estimator: rate, predicts: [a#1, a#1]', 'a#1]', "endpoints.secondary.1.predicts.1: 'a#1' is predicted by 'relapse_rate' already; keep one"),
    ('edss <= 6', 'edds <= 6', 'edds', "population.eligibility.0: rule 'edds <= 6': variable 'edds' is not known; did you mean 'edss'?"),
    ('age_years >= 18', 'edss >= 7', 'edss >', "population.eligibility.1: eligibility lets nobody in: 'edss <= 6' and 'edss >= 7' cannot hold together; widen one of them"),
    ('age_years >= 18', 'course == spms', 'course ', "population.eligibility.1: eligibility lets nobody in: 'course == rrms' and 'course == spms' cannot hold together; widen one of them"),
    ('course: rrms', 'course: rms', 'course', "population.course: 'rms' is not known; did you mean 'rrms'?"),
    ('disease: ms', 'disease: pd', 'disease', "disease: 'pd' is not known; valid: als, ms"),
    ('disease: ms', 'disease: als', 'course: rrms', "population.course: course 'rrms' is not of als; valid: als"),
    ('rater: blind', 'rater: no', 'rater', "blinding.rater: 'no' is not known; valid: blind, open"),
    ('disease: ms', 'disease: ms\ncontrol: placebo', 'control', "control: arm 'placebo' does not exist; valid: drug, graft"),
    ('disease: ms', 'disease: ms\nanalysis_set: {graft: 11}', 'graft', 'analysis_set.graft: 11 is more than the 10 randomised; use at most that'),
    ('protocol: small', 'protocol: ../small', '', "protocol: must be a name of at most 64 small letters, digits, _ and -, not '../small'; mend it"),
    ('sources: {visits.months', 'sources: {visits.month', 'visits.month', "sources.visits.month: no such path; did you mean 'visits.months' or 'visits.months.3' or 'visits.months.2'?"),
    (SMALL, '- a\n- b\n', '', "a protocol is a mapping; write 'protocol: name' lines"),
]
