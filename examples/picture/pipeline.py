"""A picture that is computed in strips; it needs only Python.

python pipeline.py                                    prints the tree
python pipeline.py --local --run --engine process     runs it without containers
"""

import struct
import zlib

import conducto as co

WIDTH, HEIGHT = 480, 320
PICTURE = "plots/mandelbrot.png"


def picture(strips: int = 4, colours: int = 48) -> co.Serial:
    """Compute the strips of a picture at the same time, and join them."""
    image = co.Image("python:3.11-slim", copy_dir=".", install_pip=["conducto"])
    root = co.Serial(image=image, cpu=0.5, mem=0.25)
    root["Strips"] = co.Parallel()
    for number in range(strips):
        root["Strips"][f"strip {number}"] = co.Exec(strip, number, strips, colours)
    root["Join"] = co.Exec(join, strips)
    return root


def strip(number: int, strips: int, colours: int) -> None:
    """Store the pixels of one strip in the pipeline's data."""
    first, end = (HEIGHT * each // strips for each in (number, number + 1))
    rows = [pixels(2.4 * (row / HEIGHT - 0.5), colours) for row in range(first, end)]
    co.data.pipeline.puts(f"strips/{number}", b"".join(b"\0" + row for row in rows))
    print(f"rows {first} to {end - 1} of {HEIGHT}")


def pixels(imaginary: float, colours: int) -> bytes:
    """Return the colours of a row."""
    row = bytearray()
    for column in range(WIDTH):
        point = complex(3.6 * (column / WIDTH - 0.5) - 0.6, imaginary)
        value, steps = point, 0
        while abs(value) < 2 and steps < colours:
            value, steps = value * value + point, steps + 1
        shade = 0 if steps == colours else 255 * steps // colours
        row += bytes([shade // 2, min(255, 2 * shade), 96 + shade // 2] if shade else [18, 24, 48])
    return bytes(row)


def join(strips: int) -> None:
    """Write the picture, and a report that shows it at the top of the pipeline's page."""
    rows = b"".join(co.data.pipeline.gets(f"strips/{number}") for number in range(strips))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    co.data.pipeline.puts(PICTURE, b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    shown = f"![the Mandelbrot set]({co.data.pipeline.url(PICTURE)})"
    co.nb.report(f"{shown}\n\nComputed in {strips} strips.", name="Mandelbrot set")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a part of a PNG file."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


if __name__ == "__main__":
    co.main(default=picture)
