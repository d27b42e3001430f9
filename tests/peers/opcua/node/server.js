"use strict";
// A test server on node-opcua: prints one JSON line when it is ready, then answers JSON commands on standard input.

const fs = require("node:fs");
const path = require("node:path");
const os = require("node:os");
const readline = require("node:readline");
const { parseArgs } = require("node:util");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { nodesets } = require("node-opcua-nodesets");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { Machines } = require("./machines.js");
const { Space } = require("./space.js");

const VIOLATED = 3;
const READING = new Set([
  "FindServers", "GetEndpoints", "OpenSecureChannel", "CloseSecureChannel", "CreateSession", "ActivateSession",
  "CloseSession", "Cancel", "Browse", "BrowseNext", "TranslateBrowsePathsToNodeIds", "RegisterNodes",
  "UnregisterNodes", "Read", "CreateMonitoredItems", "ModifyMonitoredItems", "SetMonitoringMode", "SetTriggering",
  "DeleteMonitoredItems", "CreateSubscription", "ModifySubscription", "SetPublishingMode", "Publish", "Republish",
  "TransferSubscriptions", "DeleteSubscriptions",
]);
const CONDITION_REFRESH = "ns=0;i=3875";

const { values: chosen } = parseArgs({
  options: {
    port: { type: "string", default: "0" }, shift: { type: "string", default: "0" },
    nodes: { type: "string", default: "0" }, interval: { type: "string", default: "0" },
    machines: { type: "boolean", default: false }, certificate: { type: "string" }, key: { type: "string" },
    trusted: { type: "string" }, policies: { type: "string", default: "None" },
    users: { type: "string", default: "anonymous" }, user: { type: "string" }, password: { type: "string" },
    userCertificate: { type: "string" },
  },
});

/** Whatever the stack says goes nowhere: standard output is for answers. */
function silence() {
  for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = () => {};
}

/** A namespace without nodes. */
function other(number) {
  const uri = `urn:linegate:other:${number}`;
  const needed = '<RequiredModel ModelUri="http://opcfoundation.org/UA/"/>';
  const model = `<Model ModelUri="${uri}" Version="1.0.0" PublicationDate="2026-01-01T00:00:00Z">${needed}</Model>`;
  const uris = `<NamespaceUris><Uri>${uri}</Uri></NamespaceUris>`;
  const open = '<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd">';
  return { name: uri, source: `${open}${uris}<Models>${model}</Models></UANodeSet>` };
}

class Life {
  constructor(port, shift, folder) {
    this.port = port;
    this.shift = shift;
    this.folder = folder;
    this.asked = {};
    this.violations = [];
  }

  async begin() {
    const managers = await this.certificateManagers();
    const before = Array.from({ length: this.shift }, (_, number) => other(number + 1));
    const { di, ia, machinery, packML, weihenstephan } = nodesets;
    const machines = chosen.machines ? [di, ia, machinery, packML, weihenstephan] : [];
    const policies = chosen.policies.split(",");
    const { None, Sign, SignAndEncrypt } = MessageSecurityMode;
    const modes = policies.some((policy) => policy !== "None") ? [Sign, SignAndEncrypt] : [];
    this.server = new OPCUAServer({
      hostname: "127.0.0.1", host: "127.0.0.1", port: this.port, resourcePath: "/test",
      allowAnonymous: chosen.users.includes("anonymous"),
      securityPolicies: policies.map((policy) => SecurityPolicy[policy]),
      securityModes: policies.includes("None") ? [None, ...modes] : modes,
      serverInfo: { applicationUri: "urn:linegate:test:server", productUri: "urn:linegate:test" },
      buildInfo: { productName: "linegate test server" },
      nodesets: [nodesets.standard, ...before, path.join(__dirname, "types.xml"), ...machines],
      userManager: { isValidUser: (user, password) => user === chosen.user && password === chosen.password },
      serverCapabilities: {
        maxSessions: 100, maxSubscriptions: 100, maxMonitoredItems: 100000, maxMonitoredItemsPerSubscription: 100000,
      },
      maxConnectionsPerEndpoint: 100, isAuditing: false, ...managers,
    });
    this.server.on("request", (request) => this.judge(request));
    await this.server.initialize();
    this.server.engine.addressSpace.installAlarmsAndConditionsService();
    this.space = new Space(this.server.engine.addressSpace, Number(chosen.nodes));
    if (chosen.machines) new Machines(this.space);
    await this.server.start();
    this.port = this.server.endpoints[0].port;
  }

  async certificateManagers() {
    const rootFolder = path.join(this.folder, "server");
    const serverCertificateManager = new OPCUACertificateManager({
      rootFolder, automaticallyAcceptUnknownCertificate: !chosen.trusted,
    });
    await serverCertificateManager.initialize();
    for (const file of chosen.trusted ? fs.readdirSync(chosen.trusted) : []) {
      await serverCertificateManager.trustCertificate(fs.readFileSync(path.join(chosen.trusted, file)));
    }
    const userCertificateManager = new OPCUACertificateManager({
      rootFolder: path.join(this.folder, "user"), automaticallyAcceptUnknownCertificate: false,
    });
    await userCertificateManager.initialize();
    if (chosen.userCertificate) await userCertificateManager.trustCertificate(fs.readFileSync(chosen.userCertificate));
    const own = chosen.certificate ? { certificateFile: chosen.certificate, privateKeyFile: chosen.key } : {};
    return { serverCertificateManager, userCertificateManager, ...own };
  }

  judge(request) {
    const service = request.schema.name.replace(/Request$/, "");
    this.asked[service] = (this.asked[service] || 0) + 1;
    const isRefresh = (call) => call.methodId.toString() === CONDITION_REFRESH;
    const refreshes = service === "Call" && request.methodsToCall.every(isRefresh);
    if (!READING.has(service) && !refreshes) this.violations.push(service);
  }

  async end() {
    await this.server.shutdown(0);
  }
}

class Commands {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "linegate-node-opcua-"));
    this.life = new Life(Number(chosen.port), Number(chosen.shift), this.folder);
    this.violations = [];
  }

  set(command) { this.life.space.set(command); }

  // Several values after one another, each for as long as this process takes to come to its timers some times: however
  // busy the computer is, none is over before it was sampled.
  async pulse({ node, values }) {
    for (const value of values) {
      this.set({ node, value });
      for (let turn = 0; turn < 5; turn++) await new Promise((done) => setTimeout(done, 10));
    }
  }

  vanish({ nodes }) { this.life.space.vanish(nodes); }
  appear({ nodes }) { this.life.space.appear(nodes); }
  alarm(command) { this.life.space.alarm(command); }
  forgive() { this.life.violations = []; }

  tick({ times = 1 }) {
    for (let time = 0; time < times; time++) this.life.space.tick();
    return { ticks: this.life.space.ticks };
  }

  limit(limits) {
    const { serverCapabilities } = this.life.server.engine;
    for (const [name, most] of Object.entries(limits)) {
      const own = name[0].toLowerCase() + name.slice(1);
      if (name === "sessions") serverCapabilities.maxSessions = most === null ? 100 : most;
      else if (own in serverCapabilities.operationLimits) serverCapabilities.operationLimits[own] = most || 0;
      else throw new Error(`${name} is no limit`);
    }
  }

  stall({ seconds }) {
    const nothing = new Int32Array(new SharedArrayBuffer(4));
    setTimeout(() => Atomics.wait(nothing, 0, 0, seconds * 1000), 20);
  }

  drop() {
    for (const endpoint of this.life.server.endpoints) endpoint.abruptlyInterruptChannels();
  }

  close_sessions() {
    const { engine } = this.life.server;
    for (const session of engine.getSessions()) engine.closeSession(session.authenticationToken, true, "Forcing");
  }

  delete_subscriptions() {
    for (const session of this.life.server.engine.getSessions()) {
      for (const subscription of [...session.publishEngine.subscriptions]) session.deleteSubscription(subscription.id);
    }
  }

  counts() {
    const { server, asked, violations } = this.life;
    const sessions = server.engine.getSessions();
    const subscriptions = sessions.flatMap((session) => [...session.publishEngine.subscriptions]);
    return {
      asked, violations, sessions: sessions.length, subscriptions: subscriptions.length,
      connections: server.endpoints.reduce((sum, endpoint) => sum + endpoint.currentChannelCount, 0),
      monitored_items: subscriptions.reduce((sum, each) => sum + each.monitoredItemCount, 0),
    };
  }

  async restart({ down = 0, shift = this.life.shift }) {
    const { port } = this.life;
    await this.end();
    await new Promise((done) => setTimeout(done, down * 1000));
    this.life = new Life(port, shift, this.folder);
    await this.life.begin();
    return { port };
  }

  async end() {
    this.violations.push(...this.life.violations);
    this.drop();
    await this.life.end();
  }
}

async function main() {
  const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  silence();
  const commands = new Commands();
  await commands.life.begin();
  say({ port: commands.life.port, url: `opc.tcp://127.0.0.1:${commands.life.port}/test`, pid: process.pid });
  const ticking = Number(chosen.interval) ? setInterval(() => commands.tick({}), Number(chosen.interval)) : undefined;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      const { action, ...command } = JSON.parse(line);
      const known = action !== "constructor" && Object.hasOwn(Commands.prototype, action);
      if (!known) throw new Error(`unknown action ${action}`);
      say({ done: action, ...(await commands[action](command)) });
    } catch (error) {
      say({ error: String(error) });
    }
  }
  clearInterval(ticking);
  await commands.end();
  fs.rmSync(commands.folder, { recursive: true, force: true });
  process.exitCode = commands.violations.length ? VIOLATED : 0;
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
