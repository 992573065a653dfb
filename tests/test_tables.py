"""Tables of the book's pages, as they are put right before a page is written."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from tidy_tables import is_numeric, tidy


def tidied(table: pd.DataFrame) -> BeautifulSoup:
    return BeautifulSoup(tidy(table.to_html(border=0)), "html.parser")


def test_the_name_of_the_rows_stands_in_the_row_of_headers():
    table = pd.DataFrame({"OA, %": ["94.76", "not run"], "note": ["a", ""]}, pd.Index(["CPDGAL", "ViT"], name="method"))
    soup = tidied(table)
    assert [[cell.get_text() for cell in row.find_all("th")] for row in soup.select("thead tr")] == [
        ["method", "OA, %", "note"]
    ]
    assert [cell.get_text() for cell in soup.select(".number")] == ["OA, %", "94.76", "not run"]


def test_thousands_are_set_apart():
    soup = tidied(pd.DataFrame({"parameters": [3141, 87605], "OA, %": [94.76, 96.1]}, ["C1", "C7"]))
    assert [cell.get_text() for cell in soup.select("td.number")] == ["3,141", "94.76", "87,605", "96.10"]


def test_two_levels_of_headers_stay():
    columns = pd.MultiIndex.from_product([["CPDGAL", "ViT"], [0, 1]])
    soup = tidied(pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], pd.Index(["noise"], name="kind"), columns))
    assert [row.get_text(" ", strip=True) for row in soup.select("thead tr")] == ["CPDGAL ViT", "kind 0 1 0 1"]
    assert len(soup.select("tbody .number")) == 4


def test_many_columns_are_set_small():
    wide, narrow = (tidied(pd.DataFrame([range(count)])) for count in (12, 3))
    assert "many-columns" in wide.table["class"]
    assert "many-columns" not in narrow.table["class"]


@pytest.mark.parametrize("text", ["94.76 ± 0.31", "1,116", "-2.57", "+0.16", "12 of 12", "94.29 to 95.20", "97.34 %"])
def test_a_number_is_known(text):
    assert is_numeric([text, "not run", ""])


@pytest.mark.parametrize("text", ["2026-11-25", "C7 best", "03 10", "4.7 points above", "-4.75 to +12.17 (threshold +0.00)"])
def test_other_text_is_no_number(text):
    assert not is_numeric(["1.0", text])


def test_a_column_of_signs_alone_is_no_column_of_numbers():
    assert not is_numeric(["-", "not run"])
