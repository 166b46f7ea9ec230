"""The forward ranking, before it is published, and how far it moved from the previous one."""

from typing import Final

from expectations import rules
from expectations.previous import NotComparable, Previous, comparable
from expectations.ranking_annual import KEY, rows
from expectations.rules import Connection, Gate, Given, Shape, Suite

LIST: Final = ("importer_iso3", "category", "mineral", "coefficient_source")

# The shares of the leading suppliers of a list that stay from one release to the next.
KEPT_OF_A_LIST: Final = 0.6
KEPT_OF_ALL: Final = 0.8


def churn(given: Given) -> Suite:
    judged = (
        rules.in_range("kept_share", KEPT_OF_A_LIST, 1, name="leading_suppliers_stay", mostly=0.9,
            severity="warn",
            why=f"At least {KEPT_OF_A_LIST:.0%} of the leading suppliers of a list lead it "
            "still, nine lists in ten; ranks that turn over are new data to be looked at, or "
            "broken data."),
        rules.figure_in_band("mean", "kept_share", KEPT_OF_ALL, 1, name="churn_is_bounded",
            why=f"Over all lists {KEPT_OF_ALL:.0%} of the leading suppliers stay; less "
            "is another model, or the same on broken data."),
    )  # fmt: skip
    row = "One row per list (importer, category, mineral, model) of the previous release."

    def shape(connection: Connection, previous: Previous) -> Shape:
        columns = f"select {', '.join(KEY)}, forward_rank from {{file}}"
        previous.load(connection, "ranking_forward", columns)
        if (before := previous.settings.get("top_k")) != given.top_k:
            raise NotComparable(
                f"the previous release has another top_k ({before}, not {given.top_k})"
            )
        # Lists of no more candidates than places say nothing and are left out.
        sql = f"""
            with leaders as (
                select *, count(*) over (partition by {", ".join(LIST)}) as n_candidates
                from previous_ranking_forward
                qualify n_candidates > {given.top_k} and forward_rank <= {given.top_k}
            )
            select {", ".join(LIST)},
                avg(coalesce(now.forward_rank <= {given.top_k}, false)::int) as kept_share
            from leaders left join marts.ranking_forward as now using ({", ".join(KEY)})
            group by all order by all"""
        reason = "no list of the previous release has more candidates than the {} that lead"
        return comparable(connection, sql, reason.format(given.top_k))

    return Suite("churn", row, LIST, judged, shape)


GATE: Final = Gate(
    "ranking_forward",
    "rankings",
    lambda given: (rows(given, "ranking_forward", KEY), churn(given)),
)
