# A trial: trackers over TCP from inside the company, one stream made here, no EFS. A device gets its answer when Kinesis has
# its data.

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

  environment = "dev"
  image       = var.image

  vpc_id             = var.vpc_id
  private_subnet_ids = var.private_subnet_ids

  nlb           = { cidr_blocks = ["10.0.0.0/8"] }
  tcp_listeners = { trackers = { products = ["concox_gt06", "jtt_808"] } }
  settings      = { auth = { devices = "open" } }

  streams     = { telemetry = {} }
  cpu         = 256
  memory_mib  = 1024
  autoscaling = { min_tasks = 1, max_tasks = 2 }

  deletion_protection = false
}
