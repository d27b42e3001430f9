"use strict";
// The test server's nodes: the same paths and first values as tests/peers/opcua/values.py.

const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");
const { LocalizedText, QualifiedName } = require("node-opcua-data-model");
const { resolveNodeId } = require("node-opcua-nodeid");
const { StatusCodes } = require("node-opcua-status-code");
const { ConditionInfo } = require("node-opcua-address-space");

const NAMESPACE = "urn:linegate:test";
const WHEN = new Date("2026-11-22T06:00:00.250Z");
const GUID = "72962b91-fa75-4ae6-8d28-b404dc7daf63";
const german = (text) => new LocalizedText({ text, locale: "de" });

// 64-bit integers are pairs of words, the high one first.
const SCALARS = {
  Boolean: true, SByte: -128, Byte: 255, Int16: -32768, UInt16: 65535, Int32: -2147483648, UInt32: 4294967295,
  Int64: [0x80000000, 0], UInt64: [0xffffffff, 0xffffffff], Float: 1.5, Double: 3.141592653589793, String: "Füller 3",
  DateTime: WHEN, Guid: GUID, ByteString: Buffer.from([0x00, 0xff, 0x10]), NodeId: resolveNodeId("ns=1;s=Torque"),
  QualifiedName: new QualifiedName({ name: "Füller", namespaceIndex: 1 }), LocalizedText: german("läuft"),
  StatusCode: StatusCodes.UncertainInitialValue,
};
const ARRAYS = {
  Boolean: [true, false, true], SByte: [-128, 0, 127], Byte: [0, 1, 255], Int16: [-32768, 0, 32767],
  UInt16: [0, 1, 65535], Int32: [1, -2, 3, -4, 5], UInt32: [0, 4294967295],
  Int64: [[0x80000000, 0], [0x7fffffff, 0xffffffff]], UInt64: [[0, 0], [0xffffffff, 0xffffffff]],
  Float: [0.5, -0.25], Double: [0.1, 0.2, 0.3, 0.4], String: ["a", "", "ß"], DateTime: [WHEN, WHEN], Guid: [GUID],
  ByteString: [Buffer.alloc(0), Buffer.from("ab")],
  LocalizedText: [german("an"), new LocalizedText({ text: "on", locale: "en" })],
};
const STRUCTURES = {
  Weight: { gross: 12.5, net: 11.0, stable: true },
  Batch: { id: "B-7", count: 42, remark: "ok", samples: [1.0, 2.0] },
  Pallet: { number: 9, batches: [{ id: "B-7", count: 42 }, { id: "B-8", count: 1 }] },
  Reading: { number: 2.5 },
};

const manyPath = (number) => `Many.${String(number).padStart(4, "0")}`;
const manyValue = (number, tick) => (number % 2 ? number + tick * 0.5 : (number + tick) >>> 0);

class Space {
  constructor(addressSpace, nodes) {
    this.addressSpace = addressSpace;
    this.index = addressSpace.getNamespaceIndex(NAMESPACE);
    this.namespace = addressSpace.getNamespace(this.index);
    this.nodes = nodes;
    this.ticks = 0;
    this.variables = new Map();
    this.folders = new Map();
    this.alarms = new Map();
    this.gone = new Map();
    this.folder("");
    this.fill();
  }

  folder(path) {
    if (!this.folders.has(path)) {
      const objects = this.addressSpace.rootFolder.objects;
      const made = path
        ? this.namespace.addObject({
            browseName: path, nodeId: `s=${path}`, componentOf: this.folder(""),
            ...(path === "Alarms" ? { eventSourceOf: this.folder("") } : {}),
          })
        : this.namespace.addObject({
            browseName: "Test", nodeId: "s=Test", organizedBy: objects, notifierOf: objects.server,
            eventNotifier: 1,
          });
      this.folders.set(path, made);
    }
    return this.folders.get(path);
  }

  variable(path, value, dataType, more = {}) {
    const [place, name] = path.split(".");
    const options = {
      browseName: name, nodeId: `s=${path}`, componentOf: this.folder(place), dataType, minimumSamplingInterval: 0,
      accessLevel: "CurrentRead", userAccessLevel: "CurrentRead", ...more,
    };
    if (value.arrayType === VariantArrayType.Array) options.valueRank = 1;
    const { namespace } = this;
    const made = more.engineeringUnits ? namespace.addAnalogDataItem(options) : namespace.addVariable(options);
    made.setValueFromSource(value, StatusCodes.Good, new Date());
    this.variables.set(path, { node: made, options, dataType: value.dataType });
    return made;
  }

  fill() {
    for (const [kind, value] of Object.entries(SCALARS)) {
      const variant = new Variant({ dataType: DataType[kind], arrayType: VariantArrayType.Scalar, value });
      this.variable(`Scalars.${kind}`, variant, kind);
    }
    for (const [kind, value] of Object.entries(ARRAYS)) {
      const variant = new Variant({ dataType: DataType[kind], arrayType: VariantArrayType.Array, value });
      this.variable(`Arrays.${kind}`, variant, kind);
    }
    const { addressSpace, namespace } = this;
    const int32 = (value) => new Variant({ dataType: DataType.Int32, value });
    this.variable("Enumerations.Mode", int32(1), namespace.findDataType("ModeKind").nodeId);
    this.variable("Enumerations.Fault", int32(17), namespace.findDataType("FaultKind").nodeId);
    for (const [name, members] of Object.entries(STRUCTURES)) {
      this.variable(`Structures.${name}`, this.structure(name, members), namespace.findDataType(`${name}Type`).nodeId);
    }
    this.variable("Analog.Pressure", new Variant({ dataType: DataType.Double, value: 2.25 }), "Double", {
      engineeringUnitsRange: { low: -1, high: 10 },
      engineeringUnits: addressSpace.constructExtensionObject(addressSpace.findDataType("EUInformation"), {
        namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 0x424152, displayName: "bar",
        description: "bar",
      }),
    });
    for (let number = 0; number < this.nodes; number++) {
      const dataType = number % 2 ? DataType.Double : DataType.UInt32;
      this.variable(manyPath(number), new Variant({ dataType, value: manyValue(number, 0) }), DataType[dataType]);
    }
    this.variable("Alarms.Trip", new Variant({ dataType: DataType.Boolean, value: false }), "Boolean");
  }

  structure(name, members) {
    const dataType = this.namespace.findDataType(`${name}Type`);
    return new Variant({
      dataType: DataType.ExtensionObject, value: this.addressSpace.constructExtensionObject(dataType, members),
    });
  }

  tick() {
    this.ticks++;
    const now = new Date();
    for (let number = 0; number < this.nodes; number++) {
      const found = this.variables.get(manyPath(number));
      if (!found || !found.node) continue;
      const variant = new Variant({ dataType: found.dataType, value: manyValue(number, this.ticks) });
      found.node.setValueFromSource(variant, StatusCodes.Good, now);
    }
  }

  find(path) {
    if (!this.variables.has(path)) {
      const node = this.namespace.findNode(`s=${path}`);
      if (node) return { node, dataType: node.readValue().value.dataType };
    }
    const found = this.variables.get(path);
    if (!found || !found.node) throw new Error(`there is no node ${path}`);
    return found;
  }

  set({ node, value, status = "Good", source = 0 }) {
    const found = this.find(node);
    if (!(status in StatusCodes)) throw new Error(`there is no status ${status}`);
    const current = found.node.readValue().value;
    const when = typeof source === "string" ? new Date(source) : new Date(Date.now() + source * 1000);
    found.node.setValueFromSource(
      value === undefined ? current : this.variant(node, found.dataType, value), StatusCodes[status], when,
    );
  }

  variant(path, dataType, value) {
    if (dataType === DataType.ExtensionObject) {
      const lowered = Object.entries(value).map(([name, member]) => [name[0].toLowerCase() + name.slice(1), member]);
      return this.structure(path.split(".")[1], Object.fromEntries(lowered));
    }
    const one = (given) => {
      if (dataType === DataType.DateTime) return new Date(given);
      if (dataType === DataType.NodeId) return resolveNodeId(given);
      if (dataType === DataType.ByteString) return Buffer.from(given, "hex");
      if (dataType === DataType.LocalizedText) return new LocalizedText({ text: given });
      return given;
    };
    return Array.isArray(value)
      ? new Variant({ dataType, arrayType: VariantArrayType.Array, value: value.map(one) })
      : new Variant({ dataType, arrayType: VariantArrayType.Scalar, value: one(value) });
  }

  vanish(paths) {
    for (const path of paths) {
      const found = this.find(path);
      this.gone.set(path, found.node.readValue().value);
      this.addressSpace.deleteNode(found.node);
      found.node = null;
    }
  }

  appear(paths) {
    for (const path of paths) {
      if (!this.gone.has(path)) throw new Error(`${path} has not vanished`);
      const { options } = this.variables.get(path);
      this.variable(path, this.gone.get(path), options.dataType);
      this.gone.delete(path);
    }
  }

  alarm({ name, active, severity = 500, message = name, acknowledged }) {
    if (!this.alarms.has(name)) {
      const input = this.find("Alarms.Trip").node;
      this.alarms.set(name, this.namespace.instantiateDiscreteAlarm("DiscreteAlarmType", {
        browseName: name, nodeId: `s=Alarms.${name}`, conditionName: name, componentOf: this.folder("Alarms"),
        conditionSource: this.folder("Alarms"), inputNode: input.nodeId, optionals: ["ConfirmedState"],
      }));
    }
    const alarm = this.alarms.get(name);
    if (active === true) alarm.activateAlarm();
    if (active === false) alarm.deactivateAlarm();
    const branch = alarm.currentBranch();
    if (active === true) branch.setAckedState(false);
    if (acknowledged !== undefined) branch.setAckedState(acknowledged);
    const retain = branch.getActiveState() || !branch.getAckedState();
    alarm.raiseNewCondition(new ConditionInfo({ message, severity, quality: StatusCodes.Good, retain }));
  }
}

module.exports = { Space };
