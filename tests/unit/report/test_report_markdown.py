"""A table of the documentation is one that Markdown reads."""

from stemtrial.report.markdown import markdown_table


def test_a_table_has_a_line_a_row_and_a_bar_ends_no_cell():
    told = markdown_table(("a", "b"), [("x|y", 1), ("", 2.5)])
    assert told == "| a | b |\n|---|---|\n| x/y | 1 |\n|  | 2.5 |"


def test_a_table_without_rows_is_its_head():
    assert markdown_table(["a"], []) == "| a |\n|---|"
