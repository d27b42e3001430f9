// A Sparkplug host application: follows births, sequence, aliases and deaths by Eclipse Tahu's own decoder, and says what is wrong.
//
// node sparkplug_host.js --url mqtt://127.0.0.1:1883 --id scada
// Prints JSON lines: {"ready": true}, {"message": ...} for each that came, {"done": action, ...} for each command on stdin:
//   {"action": "state", "online": true, "timestamp": 1}      publishes its STATE, retained
//   {"action": "command", "kind": "NCMD", "metrics": [...]}  asks for something; "device" for a DCMD
//   {"action": "publish", "topic": "", "base64": ""}         anything else
//   {"action": "line"}                                       what it knows: nodes and devices with their metrics, history, complaints
'use strict'

const readline = require('readline')
const mqtt = require('mqtt')
const sparkplug = require('sparkplug-payload').get('spBv1.0')
const { Payload } = require('sparkplug-payload/lib/sparkplugPayloadProto').org.eclipse.tahu.protobuf

const options = {}
for (let at = 2; at < process.argv.length; at += 2) options[process.argv[at].replace('--', '')] = process.argv[at + 1]
const STATE = `spBv1.0/STATE/${options.id}`
const SEQS = 256

const nodes = new Map()
const complaints = []

const say = (line) => process.stdout.write(JSON.stringify(line, plain) + '\n')
const complain = (topic, what) => complaints.push(`${topic}: ${what}`)

function plain (_key, value) { // 64 bits come as objects of the package long
  if (value !== null && typeof value === 'object' && typeof value.toNumber === 'function') {
    const number = value.toNumber()
    return Number.isSafeInteger(number) ? number : value.toString()
  }
  return value
}

const number = (value) => plain('', value)

function born (topic, metrics, known, aliases) {
  const tags = new Map()
  for (const metric of metrics) {
    if (!metric.name || !metric.isDeclared || metric.timestamp === undefined) complain(topic, 'a metric of a birth is not whole')
    if (metric.alias !== undefined) {
      const alias = number(metric.alias)
      const other = aliases.get(alias)
      if (other !== undefined && other !== known.id + metric.name) complain(topic, `alias ${alias} is ${other} too`)
      aliases.set(alias, known.id + metric.name)
      known.names.set(alias, metric.name)
      known.types.set(alias, metric.datatype)
    }
    const units = metric.properties && metric.properties.engUnit
    tags.set(metric.name, { value: metric.value, type: metric.type, quality: quality(metric), unit: units && units.value, timestamp: number(metric.timestamp) })
  }
  known.tags = tags
  known.online = true
}

const quality = (metric) => metric.properties && metric.properties.Quality ? metric.properties.Quality.value : 192

function data (topic, metrics, known) {
  if (!known.online) complain(topic, 'data of what is not born')
  let last = 0
  for (const metric of metrics) {
    if (metric.name || metric.isDeclared) complain(topic, `data with the name or the type of ${metric.name}`)
    const name = known.names.get(number(metric.alias))
    if (name === undefined) { complain(topic, `alias ${metric.alias} was never born`); continue }
    metric.name = name
    const timestamp = number(metric.timestamp)
    const seen = { value: metric.value, quality: quality(metric), timestamp }
    if (metric.isHistorical) known.history.push({ name, ...seen })
    else {
      if (timestamp < last) complain(topic, `${name} is older than the metric before it`)
      last = timestamp
      Object.assign(known.tags.get(name), seen)
    }
  }
}

const nobody = (id) => ({ id, online: false, names: new Map(), types: new Map(), tags: new Map(), history: [], births: 0, deaths: 0 })

function find (topic) {
  const [, group, , name, device] = topic.split('/')
  const id = `${group}/${name}`
  const node = nodes.get(id) || Object.assign(nobody(id), { devices: new Map(), aliases: new Map(), bdSeq: null, seq: null })
  nodes.set(id, node)
  if (device === undefined) return { node }
  if (!node.devices.has(device)) node.devices.set(device, nobody(device + ' '))
  return { node, device: node.devices.get(device) }
}

// The package decodes a value by its datatype, which data leave out: hosts have it from the birth.
function decode (topic, raw) {
  const { node, device } = find(topic)
  const types = (device || node).types
  const proto = Payload.decode(raw)
  const marks = proto.metrics.map((metric) => {
    const mark = { isDeclared: Object.hasOwn(metric, 'datatype'), field: metric.value, isNull: metric.isNull }
    if (!mark.isDeclared) metric.datatype = types.get(number(metric.alias)) || 0
    return { ...mark, datatype: metric.datatype }
  })
  const body = sparkplug.decodePayload(Payload.encode(proto).finish())
  for (const [index, metric] of (body.metrics || []).entries()) {
    Object.assign(metric, marks[index])
    if ((metric.field === undefined) !== metric.isNull) complain(topic, `${metric.name || metric.alias} has a value and is null, or has none and is not`)
  }
  return body
}

function follow (topic, body) {
  const kind = topic.split('/')[2]
  const { node, device } = find(topic)
  const metrics = body.metrics || []
  if (kind === 'NDEATH') {
    if (body.seq !== undefined && body.seq !== null) complain(topic, 'a sequence number in a death of a node')
    if (metrics.length !== 1 || metrics[0].name !== 'bdSeq') complain(topic, 'more or less than bdSeq')
    if (!node.online || number(metrics[0].value) !== node.bdSeq) return // of a session that is over
    node.deaths += 1
    node.online = false
    for (const one of node.devices.values()) one.online = false
    return
  }
  const seq = number(body.seq)
  if (body.timestamp === undefined) complain(topic, 'no timestamp')
  if (kind === 'NBIRTH') {
    if (seq !== 0) complain(topic, `sequence number ${seq}`)
    node.aliases.clear()
    node.devices.forEach((one) => { one.online = false })
    born(topic, metrics, node, node.aliases)
    node.births += 1
    node.bdSeq = number(node.tags.get('bdSeq').value)
    const rebirth = metrics.filter((one) => one.name === 'Node Control/Rebirth')
    if (rebirth.length !== 1 || rebirth[0].alias !== undefined || rebirth[0].value !== false || rebirth[0].type !== 'Boolean') complain(topic, 'no proper Rebirth')
  } else if (seq !== (node.seq + 1) % SEQS) complain(topic, `sequence number ${seq} after ${node.seq}`)
  node.seq = seq
  if (kind === 'NDATA') data(topic, metrics, node)
  if (device === undefined) return
  if (!node.online) complain(topic, 'its node is not born')
  if (kind === 'DBIRTH') {
    born(topic, metrics, device, node.aliases)
    device.births += 1
  } else if (kind === 'DDATA') data(topic, metrics, device)
  else if (kind === 'DDEATH') {
    if (!device.online) complain(topic, 'it is dead already')
    device.deaths += 1
    device.online = false
  }
}

const shown = (one) => ({ online: one.online, births: one.births, deaths: one.deaths, tags: Object.fromEntries(one.tags), history: one.history })

const actions = {
  state: (command, done) => client.publish(STATE, JSON.stringify({ online: command.online, timestamp: command.timestamp }), { qos: 1, retain: true }, () => done({})),
  command: (command, done) => {
    const body = sparkplug.encodePayload({ timestamp: Date.now(), metrics: command.metrics })
    const topic = `spBv1.0/${command.group}/${command.kind}/${command.node}` + (command.device ? `/${command.device}` : '')
    client.publish(topic, Buffer.from(body), { qos: 1 }, () => done({}))
  },
  publish: (command, done) => client.publish(command.topic, Buffer.from(command.base64, 'base64'), { qos: 1, retain: !!command.retain }, () => done({})),
  line: (_command, done) => {
    const known = {}
    for (const [id, node] of nodes) known[id] = { ...shown(node), bdSeq: node.bdSeq, devices: Object.fromEntries([...node.devices].map(([name, one]) => [name, shown(one)])) }
    done({ nodes: known, complaints })
  }
}

const client = mqtt.connect(options.url, { clientId: `host-${options.id}`, clean: true, reconnectPeriod: 50, protocolVersion: 5 })
let connections = 0
client.on('connect', () => client.subscribe({ 'spBv1.0/#': { qos: 1, rap: true }, 'linegate/#': { qos: 1, rap: true } }, () => say(connections++ ? { again: true } : { ready: true })))
client.on('error', () => {}) // it tries again
client.on('message', (topic, raw, packet) => {
  const message = { topic, qos: packet.qos, retain: packet.retain, size: raw.length, base64: raw.toString('base64') }
  const kind = topic.split('/')[2]
  if (topic.startsWith('spBv1.0/') && kind !== 'STATE') {
    try {
      message.payload = decode(topic, new Uint8Array(raw))
      if (!kind.endsWith('CMD')) follow(topic, message.payload)
    } catch (error) {
      message.undecoded = String(error)
      if (!kind.endsWith('CMD')) complain(topic, message.undecoded)
    }
  } else message.text = raw.toString()
  say({ message })
})

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const command = JSON.parse(line)
  actions[command.action](command, (answer) => say({ done: command.action, ...answer }))
})
lines.on('close', () => client.end(true, () => process.exit(0)))
