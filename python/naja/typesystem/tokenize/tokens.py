"""Values with their places in a text."""

from naja._native import db

Token = db.validation.Token
ScalarToken = db.validation.ScalarToken
DictToken = db.validation.DictToken
ListToken = db.validation.ListToken
