"""A shop's stock in SQLite: the code under test."""

import argparse
import os
import sqlite3

GOODS = [
    ("lamp", "A1", 12, 1990),
    ("kettle", "A2", 3, 3450),
    ("radio", "B1", 0, 7900),
    ("clock", "B2", 7, 2500),
]


class SoldOutError(Exception):
    """The order is larger than the stock."""


class Stock:
    """Goods with a place and a price in cents."""

    def __init__(self, path):
        self._database = sqlite3.connect(path)

    def fill(self, goods):
        with self._database as database:
            database.execute("CREATE TABLE goods (name PRIMARY KEY, shelf, pieces, cents)")
            database.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", goods)

    def order(self, name, pieces):
        """Remove goods from the stock; return their price in cents."""
        with self._database as database:
            taken = database.execute(
                "UPDATE goods SET pieces = pieces - ? WHERE name = ? AND pieces >= ?",
                (pieces, name, pieces),
            )
            if taken.rowcount == 0:
                raise SoldOutError(name)
        return pieces * self.price(name)

    def price(self, name):
        return self._one("cents", name)

    def pieces(self, name):
        return self._one("pieces", name)

    def shelves(self):
        return [row[0] for row in self._database.execute("SELECT shelf FROM goods ORDER BY shelf")]

    def close(self):
        self._database.close()

    def _one(self, column, name):
        query = f"SELECT {column} FROM goods WHERE name = ?"
        return self._database.execute(query, (name,)).fetchone()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wrong-price", action="store_true")
    factor = 10 if parser.parse_args().wrong_price else 1
    stock = Stock(os.environ["DATABASE"])
    stock.fill([(name, shelf, pieces, cents * factor) for name, shelf, pieces, cents in GOODS])
    stock.close()
    print(f"filled {os.environ['DATABASE']} with {len(GOODS)} kinds of goods")


if __name__ == "__main__":
    main()
