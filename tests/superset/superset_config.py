"""The settings of a Superset that lives as long as a test."""

import os

SECRET_KEY = "of a test, for nothing that stays: 0123456789"
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.environ["SUPERSET_HOME"] + "/superset.db"
