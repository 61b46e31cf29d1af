# Production: TCP trackers and MQTT over TLS from the internet, a REST API, a spool on EFS (a device gets its answer when its
# data is there), shards and packing for much data, blue/green deployments, tasks by sessions, alarms, keys of your own.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25.0, < 7.0.0"
    }
  }
}

provider "aws" {
  region = var.region
}

module "gateway" {
  source = "../.."

  environment        = "prd"
  tags               = { CostCenter = "fleet" }
  image              = var.image
  ecr_repository_arn = var.ecr_repository_arn

  vpc_id                   = var.vpc_id
  private_subnet_ids       = var.private_subnet_ids
  load_balancer_subnet_ids = var.public_subnet_ids

  nlb = {
    internal           = false
    cidr_blocks        = ["0.0.0.0/0"] # trackers in mobile networks come from anywhere
    certificate_arn    = var.device_certificate_arn
    access_logs_bucket = var.logs_bucket
  }
  tcp_listeners = {
    trackers = { port = 5023, products = ["concox_gt06", "jtt_808"], idle_timeout_s = 900, nlb_idle_timeout_s = 1200, max_connections = 40000 }
  }
  mqtt_listeners = {
    mqtts = { nlb_port = 8883, tls = true, max_connections = 20000 }
  }
  rest = {
    internal           = false
    certificate_arn    = var.rest_certificate_arn
    cidr_blocks        = ["203.0.113.0/24"]
    web_acl_arn        = var.web_acl_arn
    access_logs_bucket = var.logs_bucket
    max_connections    = 2000
  }

  settings = {
    # The file is one of your own image, on top of ours.
    gateway      = { devices_file = "/etc/iotlink/devices.yaml" }
    provisioning = "known"
    auth = {
      devices = "credentials"
      clients = [{ id = "erp", hmac = { secrets = ["$${env:HMAC_ERP}"] } }]
    }
    log = { level = "warning" }
  }
  secrets              = { HMAC_ERP = "${var.erp_secret_arn}:hmac::" }
  secrets_kms_key_arns = [var.kms_key_arn]

  streams = {
    telemetry    = { shards = 16, packing = "aggregated", retention_hours = 72, kms_key_arn = var.kms_key_arn }
    alerts       = { existing_arn = var.alerts_stream_arn }
    raw          = { packing = "aggregated", kms_key_arn = var.kms_key_arn }
    dead_letters = { retention_hours = 168, kms_key_arn = var.kms_key_arn }
  }
  spool = { max_gib = 16, efs = { kms_key_arn = var.kms_key_arn } }

  cpu              = 2048
  memory_mib       = 4096
  cpu_architecture = "ARM64"
  nofile           = 131072

  autoscaling   = { min_tasks = 3, max_tasks = 24, sessions_per_task = 30000 }
  emf_namespace = "IotLink"
  deployment    = { strategy = "BLUE_GREEN", bake_minutes = 30 }

  logs      = { retention_days = 90, kms_key_arn = var.kms_key_arn }
  alarms    = { topic_arns = [var.alarm_topic_arn] }
  discovery = { scraper_security_group_ids = { prometheus = var.prometheus_security_group_id } }
}
