// docs/airflow.png: the newest finished run of a DAG in which every task succeeded, from a running `make up`.
//
//     npm install playwright-core && node docs/screenshot.mjs URL PASSWORD DAG docs/airflow.png
//
// needs chromium at /usr/bin/chromium. It only logs in and looks.
import { createRequire } from "node:module";

const { chromium } = createRequire(process.cwd() + "/")("playwright-core");
const [url, password, dag, file] = process.argv.slice(2);

async function newestRun() {
  const login = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ username: "admin", password }) };
  const { access_token } = await (await fetch(`${url}/auth/token`, login)).json();
  const get = async (path) => (await fetch(`${url}/api/v2${path}`, { headers: { authorization: `Bearer ${access_token}` } })).json();
  const { dag_runs } = await get(`/dags/${dag}/dagRuns?state=success&order_by=-run_after`);
  for (const { dag_run_id } of dag_runs) {
    const run = encodeURIComponent(dag_run_id);
    const { task_instances } = await get(`/dags/${dag}/dagRuns/${run}/taskInstances`);
    if (task_instances.every((task) => task.state === "success")) return run;
  }
  throw new Error(`${dag} has no run in which every task succeeded`);
}

const run = await newestRun();
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: quiet });
const page = await browser.newPage({ viewport: { width: 1500, height: 640 }, colorScheme: "light" });
await page.addInitScript(() => localStorage.setItem("react-resizable-panels:grid-ltr",
  JSON.stringify({ "details-panel,main-panel": { expandToSizes: {}, layout: [50, 50] } })));
await page.goto(url);
await page.fill("input[name=username]", "admin");
await page.fill("input[name=password]", password);
await page.click("button[type=submit]");
await page.waitForURL((at) => !String(at).includes("login"));
await page.goto(`${url}/dags/${dag}/runs/${run}`);
await page.click("button[aria-label^='Show Graph']");
await page.waitForSelector(".react-flow__node");
await page.waitForTimeout(4000); // the layout of the graph is animated
await page.screenshot({ path: file });
await browser.close();
