data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name       = "${var.name}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.region

  # The module says it on every resource and not by default_tags, which belong to the caller's provider.
  tags = merge(var.tags, {
    Application = "iotlink-gateway"
    Environment = var.environment
    Service     = local.name
  })

  container_name = "gateway"
  user_id        = 10001 # of the image
  observe_port   = 9464
  data_dir       = "/var/lib/iotlink"
  spool_dir      = "/var/spool/iotlink"

  has_efs    = var.spool.efs != null
  makes_efs  = local.has_efs && try(var.spool.efs.file_system_id, null) == null
  has_rest   = var.rest != null
  has_nlb    = var.nlb != null
  blue_green = var.deployment.strategy == "BLUE_GREEN"

  # Every port behind the NLB.
  device_listeners = merge(
    { for key, one in var.tcp_listeners : key => {
      face = "tcp", port = one.port, nlb_port = coalesce(one.nlb_port, one.port), tls = one.tls, idle_timeout_s = one.nlb_idle_timeout_s
    } },
    { for key, one in var.mqtt_listeners : key => {
      face = "mqtt", port = one.port, nlb_port = coalesce(one.nlb_port, one.port), tls = one.tls, idle_timeout_s = one.nlb_idle_timeout_s
    } },
  )
  # Every port that a load balancer sends traffic to: `rest` is taken by the ALB.
  targets = merge(
    { for key, one in local.device_listeners : key => { port = one.port, proxy = true } },
    { for key in local.has_rest ? ["rest"] : [] : key => { port = var.rest.port, proxy = false } },
  )

  load_balancer_subnet_ids = var.load_balancer_subnet_ids == null ? var.private_subnet_ids : var.load_balancer_subnet_ids
}
