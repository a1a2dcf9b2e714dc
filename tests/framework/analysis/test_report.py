"""Files of an analysis: what an earlier one has left is replaced, which is said."""

from matplotlib.figure import Figure

from framework.analysis.report import Report


def test_what_is_replaced_is_named(tmp_path, capsys):
    for value, said in ((1.0, ""), (2.0, f"Replaced, from an earlier analysis: {tmp_path}/cost")):
        numbers = [["name", "value"], ["kl", value]]
        paths = Report("cost", [["name"]], numbers, {"kl": value}, Figure()).write(tmp_path)
        assert paths[0].read_text() == f"name,value\nkl,{value:g}\n"
        found = capsys.readouterr().err
        assert found.startswith(said) if said else not found
