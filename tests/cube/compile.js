// Compiles a data model with Cube's own compiler, and prints its members and the SQL of queries as JSON.
//
// usage: node compile.js MODEL < QUERIES
"use strict";
const fs = require("fs");
const path = require("path");
const { prepareCompiler, PostgresQuery } = require("@cubejs-backend/schema-compiler");

const model = process.argv[2];
const files = fs.readdirSync(model, { recursive: true }).filter((name) => name.endsWith(".yml")).sort();
const repository = {
  localPath: () => model,
  dataSchemaFiles: async () => files.map((fileName) => ({ fileName, content: fs.readFileSync(path.join(model, fileName), "utf8") })),
};
// The native part of Cube renders templates of Jinja, of which a model of ours has none: it would fail here.
const nativeInstance = { newJinjaEngine: () => ({ renderTemplate: (name) => { throw new Error(`${name} has a template`); } }) };

(async () => {
  const compilers = prepareCompiler(repository, { nativeInstance });
  await compilers.compiler.compile();
  const members = (kind) => compilers.metaTransformer.cubes.flatMap(({ config }) => config[kind]);
  const queries = JSON.parse(fs.readFileSync(0, "utf8"));
  const sql = queries.map((query) => new PostgresQuery(compilers, { timezone: "UTC", useNativeSqlPlanner: false, ...query }).buildSqlAndParams());
  process.stdout.write(JSON.stringify({
    cubes: compilers.metaTransformer.cubes.map(({ config }) => config.name),
    measures: members("measures").filter((measure) => measure.isVisible).map(({ name, shortTitle, title, description, format, meta }) => ({ name, shortTitle, title, description, format, meta })),
    sql,
  }));
})().catch((error) => { process.stderr.write(`error: ${error.message}\n`); process.exit(1); });
