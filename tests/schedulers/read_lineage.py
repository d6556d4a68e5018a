"""Makes events of OpenLineage's own client of the lines that runs left: it takes no field that it does not know."""

import importlib
import json
import pathlib
import pkgutil
import sys

import openlineage.client.generated as generated
from openlineage.client.generated import base, column_lineage_dataset, schema_dataset
from openlineage.client.serde import Serde

CLASSES = {}
for module in pkgutil.iter_modules(generated.__path__):
    for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
        if hasattr(value, "_get_schema"):
            CLASSES[value.__name__] = value


def facet(written):
    fields = {name: value for name, value in written.items() if not name.startswith("_")}
    known = CLASSES[written["_schemaURL"].rsplit("/", 1)[1]]
    assert known._get_schema() == written["_schemaURL"], f"{written['_schemaURL']}, not {known._get_schema()}"
    if known is schema_dataset.SchemaDatasetFacet:
        fields["fields"] = [schema_dataset.SchemaDatasetFacetFields(**field) for field in fields["fields"]]
    if known is column_lineage_dataset.ColumnLineageDatasetFacet:
        read = lambda inputs: [column_lineage_dataset.InputField(**one) for one in inputs]
        fields["dataset"] = read(fields["dataset"])
        fields["fields"] = {
            name: column_lineage_dataset.Fields(inputFields=read(field["inputFields"]))
            for name, field in fields["fields"].items()
        }
    return known(producer=written["_producer"], **fields) if "producer" in known.__init__.__annotations__ else known(**fields)


def with_facets(known, written):
    fields = dict(written)
    for key in [key for key in fields if key.lower().endswith("facets")]:
        fields[key] = {name: facet(value) for name, value in fields[key].items()}
    return known(**fields)


def event(written):
    fields = dict(written)
    assert fields.pop("schemaURL") == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    fields["eventType"] = base.EventType[fields["eventType"]]
    fields["run"] = with_facets(base.Run, fields["run"])
    fields["job"] = with_facets(base.Job, fields["job"])
    fields["inputs"] = [with_facets(base.InputDataset, one) for one in fields["inputs"]]
    fields["outputs"] = [with_facets(base.OutputDataset, one) for one in fields["outputs"]]
    return base.RunEvent(**fields)


kinds = []
for path in sys.argv[1:]:
    events = [event(json.loads(line)) for line in pathlib.Path(path).read_text().splitlines()]
    assert all(Serde.to_json(one) for one in events)
    assert len({one.run.runId for one in events}) == 1
    kinds.append([one.eventType.name for one in events])
assert sorted(kinds) == [["START", "COMPLETE"], ["START", "FAIL"]], kinds
print("ok: the client of OpenLineage takes the events")
