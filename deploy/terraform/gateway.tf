# The gateway's configuration, one environment variable for each section (IOTLINK_TCP, IOTLINK_AUTH, ...), its value JSON,
# which is YAML as well. So a change of it is a new task definition: it is deployed, and rolled back, like a new image.

locals {
  # A REST listener is not behind the NLB, a listener of a device not behind the ALB: the port is theirs alone.
  tcp_settings = [for key, one in var.tcp_listeners : { for name, value in {
    name                   = key
    host                   = "0.0.0.0"
    port                   = one.port
    products               = one.products
    idle_timeout_s         = one.idle_timeout_s
    login_timeout_s        = one.login_timeout_s
    max_connections        = one.max_connections
    max_connections_per_ip = one.max_connections_per_ip
    tenant                 = one.tenant
    proxy_protocol         = true
    plaintext              = true # inside the VPC; `tls` is ended by the NLB
  } : name => value if value != null }]

  mqtt_settings = [for key, one in var.mqtt_listeners : { for name, value in {
    name                   = key
    host                   = "0.0.0.0"
    port                   = one.port
    max_connections        = one.max_connections
    max_connections_per_ip = one.max_connections_per_ip
    tenant                 = one.tenant
    proxy_protocol         = true
    plaintext              = true
  } : name => value if value != null }]

  rest_settings = [for one in var.rest[*] : { for name, value in {
    name            = "rest"
    host            = "0.0.0.0"
    port            = one.port
    max_connections = one.max_connections
    forwarded_hops  = 1
    plaintext       = true
  } : name => value if value != null }]

  observe_settings = merge(
    { host = "0.0.0.0", port = local.observe_port },
    { for key in var.emf_namespace == null ? [] : ["emf"] : key => { namespace = var.emf_namespace, service = local.name } },
  )

  ack_on = coalesce(var.ack_on, local.has_efs ? "spool" : "sink")

  routes = concat(
    contains(keys(var.streams), "alerts") ? [{ types = ["alert"], to = ["alerts", "telemetry"] }] : [],
    [{ types = [], to = ["telemetry"] }],
  )

  # Sections, of which those that `settings` adds to are merged key by key.
  own_sections = {
    gateway = merge(try(var.settings.gateway, {}), { env = var.environment, data_dir = local.data_dir })
    tcp     = merge(try(var.settings.tcp, {}), { listeners = local.tcp_settings })
    mqtt    = merge(try(var.settings.mqtt, {}), { listeners = local.mqtt_settings })
    rest    = merge(try(var.settings.rest, {}), { listeners = local.rest_settings })
    observe = local.observe_settings
    ack_on  = local.ack_on
    # Within the stopTimeout of the task. When SIGTERM comes, its targets have been deregistered for a while: no notice.
    drain = merge({ spread_s = 60, limit_s = 110 }, try(var.settings.drain, {}))
    spool = merge(try(var.settings.spool, {}), {
      dir       = local.has_efs ? local.spool_dir : "${local.data_dir}/spool"
      max_bytes = "${var.spool.max_gib}GiB"
    })
    routes       = local.routes
    raw_archive  = contains(keys(var.streams), "raw") ? { enabled = true, sink = "raw" } : { enabled = false, sink = null }
    dead_letters = merge(try(var.settings.dead_letters, {}), { also_to = contains(keys(var.streams), "dead_letters") ? "dead_letters" : null })
  }
  user_sections = { for name, value in var.settings : name => value if !contains(keys(local.own_sections), name) }

  # One variable for each sink: they join the sinks that are there, and the file sink of the defaults gives way.
  sinks = { for key, one in var.streams : key => {
    type    = "kinesis"
    stream  = local.stream_names[key]
    region  = local.region
    packing = one.packing
  } }

  gateway_environment = merge(
    { for name, value in local.user_sections : "IOTLINK_${upper(name)}" => jsonencode(value) },
    { for name, value in local.own_sections : "IOTLINK_${upper(name)}" => jsonencode(value) },
    { for name, value in local.sinks : "IOTLINK_SINKS__${upper(name)}" => jsonencode(value) },
  )
}
