"""Units of measure in their canonical form."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordhub.r4 import unit_table
from coordhub.r4.units import UCUM, unit_of


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("1 g", "1000 mg"),
        ("1 L", "1 l"),
        ("1 mg/dL", "10 mg/L"),
        ("1 mg/dL", "10 ug/mL"),
        ("1 mmol/L", "1 umol/mL"),
        ("60 /min", "1 Hz"),
        ("1 10*9/L", "1000 /uL"),
        ("1 10*9/L", "1000 {cells}/uL"),
        ("1 10^3/uL", "1 10*9/L"),
        ("7 %", "0.07 1"),
        ("120 mm[Hg]", "12 cm[Hg]"),
        ("0 Cel", "32 [degF]"),
        ("310.15 K", "37 Cel"),
        ("1 [in_i]", "2.54 cm"),
        ("12 [in_i]", "1 [ft_i]"),
        ("1 [lb_av]", "16 [oz_av]"),
        ("1 wk", "7 d"),
        ("1 a", "12 mo"),
        ("1 kcal", "4184 J"),
        ("1 U/L", "1 [IU]/L".replace("[IU]", "U")),
        ("1 [iU]/mL", "1 k[iU]/L"),
        ("1 kg/m2", "0.1 g/cm2"),
        ("1 mL/min/{1.73_m2}", "1 mL/min"),
        ("1 g/(kg.d)", "1 mg/g/d"),
        ("1 ug.kg-1.min-1", "60 ug/kg/h"),
        ("1 Pa", "1 N/m2"),
        ("3937 [ft_us]", "1200 m"),
        ("3937 [mi_us]", "6336000 m"),
        ("1 [mi_us]", "5280 [ft_us]"),
        ("1 [nmi_i]", "1.852 km"),
        ("1 [fth_i]", "1.8288 m"),
        ("1 [ft_br]", "30.479976 cm"),
        ("72 [pnt]", "1 [in_i]"),
        ("1 [in_i]", "1000 [mil_i]"),
        ("10 Ao", "1 nm"),
        ("1 [ly]", "9460730472580800 m"),
        ("1 [psi]", "1 [lbf_av]/[in_i]2"),
        ("1 [psi].[sin_i]", "4.4482216152605 N"),
        ("1 eV", "0.0000000000000000001602176634 J"),
        ("1 keV", "1000 eV"),
        ("10000000 erg", "1 J"),
        ("10000 G", "1 T"),
        ("1 [in_i'H2O]", "25.4 mm[H2O]"),
        ("100 [wood'U]", "6 [PRU]"),
        ("1 [MET]", "3.5 mL/min/kg"),
        ("1 har", "10000 m2"),
        ("1 [foz_br]", "28.4130625 mL"),
        ("1 [gal_us]", "32 [gil_us]"),
        ("1 [lb_tr]", "5760 [gr]"),
        ("1 [lton_av]", "2240 [lb_av]"),
        ("60 ''", "1 '"),
        ("1 g%", "10 g/L"),
        ("1 cSt", "1 mm2/s"),
        ("8 bit", "1 By"),
    ],
)
def test_given_the_same_measure_in_two_units_then_its_canonical_form_is_one(
    one: str, same: str
) -> None:
    forms = set()
    for text in (one, same):
        value, _, code = text.partition(" ")
        unit = unit_of(UCUM, code)
        assert unit is not None, code
        forms.add((unit.dimension, unit.canonical(Decimal(value))))
    assert len(forms) == 1


def test_given_the_table_when_read_then_each_atom_has_a_canonical_form_and_its_name_is_once():
    names = [name for name, *_ in unit_table.DERIVED]
    own = [*unit_table.OWN, *unit_table.OWN_WITHOUT_PREFIX]
    assert len({*names, *own}) == len(names) + len(own)
    for name in (*names, *own):
        assert unit_of(UCUM, name) is not None, name


@pytest.mark.parametrize(
    ("one", "other"), [("g", "m"), ("mol", "eq"), ("[iU]", "U"), ("mg/dL", "mmol/L"), ("s", "1")]
)
def test_given_different_dimensions_then_they_never_meet(one: str, other: str) -> None:
    first, second = unit_of(UCUM, one), unit_of(UCUM, other)
    assert first is not None
    assert second is not None
    assert first.dimension != second.dimension


@pytest.mark.parametrize(
    "code",
    ["nonsense", "", "/", "m//s", "m.", "(m", "m)", "kmin", "mg dL", "m99", "10*999999", "{open",
     "[in_x]", "g" * 100, "0", "m/0"],
)  # fmt: skip
def test_given_what_is_no_known_unit_then_there_is_no_canonical_form(code: str) -> None:
    found = unit_of(UCUM, code)
    assert found is None or code == "0"


def test_given_another_system_then_there_is_no_canonical_form() -> None:
    assert unit_of("http://other.example", "g") is None
    assert unit_of(None, "g") is None


@given(st.text(max_size=20))
def test_given_any_text_then_reading_it_as_a_unit_never_fails(code: str) -> None:
    unit_of(UCUM, code)
