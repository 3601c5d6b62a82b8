import { expect, test } from "vitest";

import { dollars } from "@/lib/money";
import { amountHeadings, amountsOf, monthsBetween, sumsOf, totalOf } from "@/billing/model/costs";

const COST = { dollars: 3, transition_dollars: 0.5, request_dollars: 0.25, storage_dollars: 1 };

test("the parts of a cost add up to its total", () => {
  const sum = sumsOf(COST).reduce((before, part) => before + part.dollars, 0);
  expect(sum).toBe(totalOf(COST));
});

test("months without usage are shown between others", () => {
  expect(monthsBetween(["2027-02", "2026-11"])).toEqual([
    "2026-11",
    "2026-12",
    "2027-01",
    "2027-02",
  ]);
  expect(monthsBetween([])).toEqual([]);
});

test("the price of an organisation is before that of AWS", () => {
  expect(amountHeadings([{ price: null }])).toEqual(["Cost"]);
  expect(amountHeadings([{ price: null }, { price: 1 }])).toEqual(["Price", "AWS"]);
  expect(amountsOf(null, 2)).toEqual(["$2.00"]);
  expect(amountsOf(3, 2)).toEqual(["$3.00", "$2.00"]);
});

test("small amounts have four digits", () => {
  expect([12.3, 1234.5, 0.00123, 0].map(dollars)).toEqual([
    "$12.30",
    "$1,234.50",
    "$0.0012",
    "$0.00",
  ]);
});
