"""A small ERP (SOAP), cart (REST), CRM (REST) and CSV drop folder: stateful, seeded, for the demo and the tests.

It is a stranger to the product and imports nothing of it. `python -m sandbox start --state DIR` runs all of it;
`sandbox.servers.running` does the same inside a test. README.md beside this file describes the APIs.
"""
