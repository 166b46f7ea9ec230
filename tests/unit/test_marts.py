"""What is declared of the marts: one type for one kind of thing, names for every code."""

from minerals.marts import names, published, python_marts


def test_years_dates_and_times_have_one_type_each():
    kinds: dict[str, set[str]] = {"year": set(), "date": set(), "at": set()}
    for mart in published().values():
        for column in mart.columns:
            kind = column.name.rpartition("_")[2]
            if kind in kinds and not column.name.startswith(("n_", "change_")):
                kinds[kind].add(column.type)
    assert kinds["year"] == {"BIGINT"} and kinds["date"] == {"DATE"}
    assert kinds["at"] <= {"DATE", "TIMESTAMP"}


def test_the_names_are_those_that_are_published():
    assert names() == list(published())


def test_codes_can_be_named_from_the_release_itself():
    assert {"dim_country", "dim_mineral", "dim_hs_code", "dim_release"} <= set(published())
    assert published()["dim_country"].key == ("country_iso3",)


def test_a_mart_like_another_repeats_its_columns_word_for_word():
    marts = python_marts()
    of_all = {column.name: column for column in marts["ranking_forward"].columns}
    assert all(of_all[column.name] == column for column in marts["ranking_headline"].columns)
    assert "is_headline" not in {column.name for column in marts["ranking_headline"].columns}
