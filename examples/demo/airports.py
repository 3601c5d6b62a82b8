"""The functions of the nodes: read the world's airports, and find the most isolated ones.

The package ``airportsdata`` has one row for each airport and landing strip. Airlines use those with
an IATA code, the three letters on a luggage tag.
"""

# ruff: noqa: PLC0415
# Packages that only the image has are imported in functions, since the host imports this file, too.

import json
import math

import conducto as co

EARTH_RADIUS = 6371.0  # kilometres


def collect() -> None:
    """Store the airports that airlines use in the pipeline's data, by region."""
    import airportsdata

    regions = {}
    for code, airport in airportsdata.load("IATA").items():
        # A time zone such as Europe/Lisbon begins with the region.
        region = airport["tz"].partition("/")[0] or "Elsewhere"
        row = {key: airport[key] for key in ("name", "country", "lat", "lon", "elevation")}
        regions.setdefault(region, []).append({"code": code, **row})
    for region, airports in regions.items():
        co.data.pipeline.puts(f"regions/{region}.json", json.dumps(airports).encode())
    print(f"{sum(map(len, regions.values()))} airports in {len(regions)} regions")


def read(region: str) -> list:
    """Return the airports of a region."""
    return json.loads(co.data.pipeline.gets(f"regions/{region}.json"))


def region_names() -> list:
    """Return the regions that ``collect`` found."""
    return [name[len("regions/") : -len(".json")] for name in co.data.pipeline.list("regions")]


def everything() -> list:
    """Return the airports of all regions."""
    return [airport for region in region_names() for airport in read(region)]


def points(airports: list):
    """Return the airports' positions on the unit sphere, of shape (airports, 3)."""
    import numpy as np

    lat = np.radians([airport["lat"] for airport in airports])
    lon = np.radians([airport["lon"] for airport in airports])
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def kilometres(cosine: float) -> float:
    """Return the distance along the surface of two points, from the cosine of their angle."""
    return EARTH_RADIUS * math.acos(max(-1.0, min(1.0, cosine)))


def loneliest(region: str) -> None:
    """Find the airport of a region whose nearest neighbour in the world is farthest away."""
    airports, others = read(region), everything()
    cosines = points(airports) @ points(others).T
    # The largest cosine is that of the airport itself, the second largest that of its neighbour.
    cosines.partition(cosines.shape[1] - 2, axis=1)
    nearest = cosines[:, -2]
    alone = int(nearest.argmin())
    distance = round(kilometres(float(nearest[alone])))
    found = {**airports[alone], "region": region, "distance": distance, "airports": len(airports)}
    print("{name} ({code}, {country}): {distance} km to the next airport".format(**found))
    co.data.pipeline.puts(f"loneliest/{region}.json", json.dumps(found).encode())


def extremes(count: int) -> None:
    """Print the highest and the northernmost airports."""
    airports = everything()
    highest = sorted(airports, key=lambda one: -one["elevation"])[:count]
    for airport in highest:
        print(f"{round(airport['elevation'] * 0.3048):>6} m up  {airport['name']}")
    for airport in sorted(airports, key=lambda one: -one["lat"])[:count]:
        print(f"{airport['lat']:>6.1f} north  {airport['name']}")


def longest_route(start: str) -> None:
    """Find the airport that is farthest from another one."""
    airports = everything()
    home = next(airport for airport in airports if airport["code"] == start)
    cosines = points(airports) @ points([home])[0]
    farthest = int(cosines.argmin())
    distance = kilometres(float(cosines[farthest]))
    print(f"from {home['name']} to {airports[farthest]['name']}: {distance:.0f} km")
