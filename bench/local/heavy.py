"""A function for native Execs whose module imports much of the standard library."""

# ruff: noqa: F401

import argparse
import asyncio
import concurrent.futures
import csv
import ctypes
import decimal
import difflib
import doctest
import email.message
import ftplib
import http.client
import http.server
import imaplib
import json
import logging.config
import lzma
import multiprocessing.managers
import optparse
import pathlib
import pickletools
import plistlib
import pydoc
import smtplib
import sqlite3
import ssl
import statistics
import tarfile
import typing
import unittest.mock
import urllib.request
import xml.dom.minidom
import xml.sax.saxutils
import xmlrpc.server
import zipfile


def nothing_heavy() -> None:
    """Do nothing."""
