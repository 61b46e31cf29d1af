# Cloud Map: an A record for each running task, for `dns_sd_configs` of Prometheus.

resource "aws_service_discovery_private_dns_namespace" "this" {
  for_each = toset(var.discovery != null && try(var.discovery.namespace_id, null) == null ? ["this"] : [])

  name        = coalesce(try(var.discovery.namespace_name, null), "${local.name}.internal")
  description = "Tasks of ${local.name}"
  vpc         = var.vpc_id
  tags        = local.tags
}

resource "aws_service_discovery_service" "this" {
  for_each = toset(var.discovery == null ? [] : ["this"])

  name          = "gateway"
  description   = "Metrics of ${local.name}, port ${local.observe_port}"
  force_destroy = true

  dns_config {
    namespace_id   = try(var.discovery.namespace_id, null) == null ? aws_service_discovery_private_dns_namespace.this["this"].id : var.discovery.namespace_id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }

  tags = local.tags
}
