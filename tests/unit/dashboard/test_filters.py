"""The choices in the address, by Streamlit's own test of a script: no browser, no release."""

import pandas as pd
import pytest

testing = pytest.importorskip("streamlit.testing.v1", reason="`make setup-dashboard`")


def script():
    from dashboard import filters

    filters.choice("fruit", "Fruit", ["apple", "pear", "plum"], default="pear")
    filters.choices("colours", "Colours", ["red", "green", "blue"], default=["red"], at_most=2)
    filters.years("years", "Years", 1995, 2024)


def run(**address: str):
    page = testing.AppTest.from_function(script)
    for name, text in address.items():
        page.query_params[name] = text
    page.run()
    assert not page.exception
    return page


def address_of(page) -> dict[str, str]:
    found = page.query_params.items()
    return {name: text if isinstance(text, str) else text[0] for name, text in found}


def test_defaults_are_written_into_the_address():
    page = run()
    assert address_of(page) == {"fruit": "pear", "colours": "red", "years": "1995-2024"}


def test_the_address_decides():
    page = run(fruit="plum", colours="green,blue", years="2000-2010")
    assert page.selectbox[0].value == "plum"
    assert page.multiselect[0].value == ["green", "blue"]
    assert page.slider[0].value == (2000, 2010)
    assert address_of(page) == {"fruit": "plum", "colours": "green,blue", "years": "2000-2010"}


def test_a_click_changes_the_address():
    page = run(fruit="plum")
    page.selectbox[0].select("apple").run()
    page.multiselect[0].select("blue").run()
    page.slider[0].set_range(1999, 2001).run()
    assert address_of(page) == {"fruit": "apple", "colours": "red,blue", "years": "1999-2001"}


def test_going_back_in_the_browser_changes_the_choice():
    page = run(fruit="plum")
    page.selectbox[0].select("apple").run()
    page.query_params["fruit"] = "plum"
    page.run()
    assert page.selectbox[0].value == "plum"


def losing():
    from dashboard import filters

    filters.choices("lose", "Lose", ["CHN", "RUS", "USA"], default=["CHN"], gives_way=True)


def test_a_preset_gives_way_to_the_first_choice_and_a_choice_stays():
    page = testing.AppTest.from_function(losing).run()
    assert address_of(page) == {"lose": "CHN"}
    page.multiselect[0].select("RUS").run()
    assert page.multiselect[0].value == ["RUS"]
    assert address_of(page) == {"lose": "RUS"}
    page.multiselect[0].select("CHN").run()
    assert address_of(page) == {"lose": "RUS,CHN"}

    asked_for = testing.AppTest.from_function(losing)
    asked_for.query_params["lose"] = "CHN"
    asked_for.run()
    asked_for.multiselect[0].select("RUS").run()
    assert address_of(asked_for) == {"lose": "CHN,RUS"}


def offering():
    from dashboard import filters

    if filters.choice("category", "Category", ["ores", "products", "scrap"]) == "ores":
        filters.offer_categories(filters.Market("IND", "Lithium", "ores"), "trade_flows")


def test_a_category_with_data_is_a_click_away(monkeypatch):
    def held(sql, **market):
        assert "from marts.trade_flows" in sql
        assert market == {"importer": "IND", "mineral": "Lithium"}
        return pd.DataFrame({"category": ["scrap", "products"]})

    monkeypatch.setattr("dashboard.reading.rows", held)
    page = testing.AppTest.from_function(offering).run()
    assert [button.label for button in page.button] == ["Show products", "Show scrap"]
    page.button[1].click().run()
    assert page.selectbox[0].value == "scrap"
    assert address_of(page) == {"category": "scrap"}


def test_an_empty_choice_of_several_stays_empty():
    page = run(colours="")
    assert page.multiselect[0].value == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"fruit": "brick"}, "Fruit brick is not available here. Available: apple, pear, plum."),
        ({"colours": "red,loud"}, "Colours loud is not available here."),
        ({"years": "soon"}, "Years soon is not available here. Available: 1995-2024."),
    ],
)
def test_what_is_not_there_is_said(address, words):
    page = run(**address)
    assert words in page.warning[0].value


def test_what_another_page_chose_gives_way_in_silence():
    page = testing.AppTest.from_function(script)
    page.session_state["chosen"] = {"fruit": "brick", "colours": "green"}
    page.run()
    assert page.selectbox[0].value == "pear"
    assert page.multiselect[0].value == ["green"]
    assert len(page.warning) == 0


def test_years_outside_are_cut():
    assert run(years="1900-2100").slider[0].value == (1995, 2024)
