"use strict";
// Machines of three companion specifications, made of the types that the OPC Foundation publishes.

const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");
const { StatusCodes } = require("node-opcua-status-code");

const UA = "http://opcfoundation.org/UA/";
const [PACKML, MACHINERY, WEIHENSTEPHAN] = [`${UA}PackML/`, `${UA}Machinery/`, `${UA}Weihenstephan/`];
const WS = "http://weihenstephan-standards.com/WS/";
const COUNTS = ["ProdProcessedCount", "ProdDefectiveCount"];

class Machines {
  constructor(space) {
    this.space = space;
    this.addressSpace = space.addressSpace;
    this.addressSpace.registerNamespace(WS);
    this.packml();
    this.machinery();
    this.weihenstephan();
  }

  index(uri) { return this.addressSpace.getNamespaceIndex(uri); }
  type(uri, name) { return this.addressSpace.findObjectType(name, this.index(uri)); }

  entry(uri, name) {
    return this.addressSpace.rootFolder.objects.getFolderElementByName(name, this.index(uri));
  }

  child(parent, ...names) {
    for (const name of names) {
      const children = [...parent.getComponents(), ...parent.getProperties()];
      const found = children.find((each) => each.browseName.name === name);
      if (!found) throw new Error(`${parent.browseName} has no ${name}`);
      parent = found;
    }
    return parent;
  }

  set(variable, dataType, value, arrayType = VariantArrayType.Scalar) {
    variable.setValueFromSource(new Variant({ dataType, arrayType, value }), StatusCodes.Good, new Date());
  }

  state(machine, uri, type, name) {
    const current = this.child(machine, "CurrentState");
    this.set(current, DataType.LocalizedText, { text: name });
    this.set(this.child(current, "Id"), DataType.NodeId, this.child(this.type(uri, type), name).nodeId);
  }

  /** OPC 30050: `Capper` executes; its counts are structures in arrays. */
  packml() {
    const optionals = ["Admin.ProdProcessedCount", "Admin.ProdDefectiveCount", "Admin.MachDesignSpeed"];
    const capper = this.type(PACKML, "PackMLBaseObjectType").instantiate({
      browseName: "Capper", nodeId: "s=Capper", namespace: this.space.namespace, optionals,
      organizedBy: this.entry(PACKML, "PackMLObjects"),
    });
    const base = this.child(capper, "BaseStateMachine");
    const machine = this.child(base, "MachineState");
    this.state(base, PACKML, "PackMLBaseStateMachineType", "Cleared");
    this.state(machine, PACKML, "PackMLMachineStateMachineType", "Running");
    this.state(this.child(machine, "ExecuteState"), PACKML, "PackMLExecuteStateMachineType", "Execute");
    this.set(this.child(capper, "Status", "CurMachSpeed"), DataType.Float, 118.5);
    this.set(this.child(capper, "Status", "UnitModeCurrent"), DataType.Int32, 1);
    const type = this.addressSpace.findDataType("PackMLCountDataType", this.index(PACKML));
    COUNTS.forEach((name, place) => {
      const members = { iD: 1, name: "bottles", count: 4711 - place * 4700, accCount: 70000 };
      const count = this.addressSpace.constructExtensionObject(type, members);
      this.set(this.child(capper, "Admin", name), DataType.ExtensionObject, [count], VariantArrayType.Array);
    });
  }

  /** OPC 40001-1: `Filler` with its nameplate and MachineryItemState, which executes. */
  machinery() {
    const { namespace } = this.space;
    const name = (browseName) => ({ name: browseName, namespaceIndex: this.index(MACHINERY) });
    const filler = namespace.addObject({
      browseName: "Filler", nodeId: "s=Filler", organizedBy: this.entry(MACHINERY, "Machines"),
    });
    this.nameplate(filler, "Filler");
    const blocks = namespace.addObject({
      browseName: name("MachineryBuildingBlocks"), nodeId: "s=Filler-MachineryBuildingBlocks", componentOf: filler,
      typeDefinition: "FolderType",
    });
    const state = this.type(MACHINERY, "MachineryItemState_StateMachineType").instantiate({
      browseName: name("MachineryItemState"), nodeId: "s=Filler-MachineryBuildingBlocks-MachineryItemState", namespace,
      componentOf: blocks,
    });
    this.state(state, MACHINERY, "MachineryItemState_StateMachineType", "Executing");
  }

  nameplate(machine, serial) {
    const made = this.type(MACHINERY, "MachineIdentificationType").instantiate({
      browseName: { name: "Identification", namespaceIndex: this.index(`${UA}DI/`) },
      nodeId: `s=${serial}-Identification`, namespace: this.space.namespace, componentOf: machine,
    });
    this.set(this.child(made, "Manufacturer"), DataType.LocalizedText, { text: "ACME" });
    this.set(this.child(made, "SerialNumber"), DataType.String, serial);
    this.set(this.child(made, "ProductInstanceUri"), DataType.String, `urn:acme:${serial}`);
  }

  /** OPC 40600: `Labeler`, whose data points have their names in the namespace of the standard's own library. */
  weihenstephan() {
    const { namespace } = this.space;
    const optionals = ["OperatingStates", "OperatingModes", "Counters", "MeasuredValues"];
    const labeler = this.type(WEIHENSTEPHAN, "WSMachineType").instantiate({
      browseName: "Labeler", nodeId: "s=Labeler", namespace, organizedBy: this.entry(MACHINERY, "Machines"), optionals,
    });
    const points = [
      ["OperatingStates", "WS_Cur_State", DataType.UInt32, 128],
      ["OperatingModes", "WS_Cur_Mode", DataType.UInt32, 8],
      ["Counters", "WS_Tot_Packages", DataType.UInt32, 4711],
      ["Counters", "WS_Bad_Packages", DataType.UInt32, 11],
      ["MeasuredValues", "WS_Cur_Mach_Spd", DataType.Float, 118.5],
    ];
    for (const [category, name, dataType, value] of points) {
      const made = namespace.addVariable({
        browseName: { name, namespaceIndex: this.index(WS) }, nodeId: `s=Labeler-${category}-${name}`,
        dataType: DataType[dataType], componentOf: this.child(labeler, category),
        accessLevel: "CurrentRead", userAccessLevel: "CurrentRead",
        typeDefinition: this.addressSpace.findVariableType("WSBaseDataVariableType", this.index(WEIHENSTEPHAN)).nodeId,
      });
      this.set(made, dataType, value);
    }
  }
}

module.exports = { Machines };
