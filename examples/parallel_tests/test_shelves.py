# ruff: noqa: PT009
# The image has no pytest, only Python's own unittest.

import os
import unittest

from stock import GOODS, Stock


class Shelves(unittest.TestCase):
    def setUp(self):
        self.stock = Stock(os.environ["DATABASE"])
        self.addCleanup(self.stock.close)

    def test_kinds_of_goods_have_different_places(self):
        self.assertEqual(len(set(self.stock.shelves())), len(GOODS))
