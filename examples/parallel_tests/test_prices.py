# ruff: noqa: PT009
# The image has no pytest, only Python's own unittest.

import os
import unittest

from stock import Stock


class Prices(unittest.TestCase):
    def setUp(self):
        self.stock = Stock(os.environ["DATABASE"])
        self.addCleanup(self.stock.close)

    def test_a_clock_costs_25(self):
        self.assertEqual(self.stock.price("clock"), 2500)

    def test_two_cost_twice_as_much(self):
        self.assertEqual(self.stock.order("clock", 2), 2 * self.stock.price("clock"))
