# Who may talk to whom. The tasks have no public address; only the load balancers, the scrapers and nobody else reach them.

data "aws_subnet" "private" {
  for_each = { for index, id in var.private_subnet_ids : tostring(index) => id }

  id = each.value

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.vpc_id
      error_message = "The subnet ${self.id} of `private_subnet_ids` is not in `vpc_id` (${var.vpc_id}): name subnets of that VPC."
    }
    postcondition {
      condition     = !self.map_public_ip_on_launch
      error_message = "The subnet ${self.id} of `private_subnet_ids` gives out public addresses: tasks belong into private subnets. Name one with a NAT gateway or VPC endpoints."
    }
  }
}

resource "aws_security_group" "tasks" {
  name        = "${local.name}-tasks"
  description = "Tasks of ${local.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-tasks" })
}

resource "aws_security_group" "nlb" {
  for_each = toset(local.has_nlb ? ["nlb"] : [])

  name        = "${local.name}-nlb"
  description = "Load balancer for the devices of ${local.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-nlb" })
}

resource "aws_security_group" "alb" {
  for_each = toset(local.has_rest ? ["alb"] : [])

  name        = "${local.name}-alb"
  description = "Load balancer for the REST API of ${local.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-alb" })
}

resource "aws_security_group" "spool" {
  #checkov:skip=CKV2_AWS_5:it is that of the mount targets
  for_each = toset(local.makes_efs ? ["spool"] : [])

  name        = "${local.name}-spool"
  description = "Spool of ${local.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${local.name}-spool" })
}

locals {
  spool_security_group_id = local.makes_efs ? aws_security_group.spool["spool"].id : try(var.spool.efs.security_group_id, null)

  # What the ALB asks the tasks for: data, and whether they are ready.
  rest_ports = { for name, number in { rest = try(var.rest.port, null), ready = local.observe_port } : name => number if local.has_rest }

  # All rules, by a name that stays: [group, other group or block, port].
  ingress = merge(
    { for pair in setproduct(keys(local.device_listeners), local.has_nlb ? var.nlb.cidr_blocks : []) : "nlb-${pair[0]}-${pair[1]}" => {
      group = aws_security_group.nlb["nlb"].id, cidr = pair[1], other = null, port = local.device_listeners[pair[0]].nlb_port, what = "Devices to ${pair[0]}"
    } },
    { for key, one in local.device_listeners : "tasks-${key}" => {
      group = aws_security_group.tasks.id, cidr = null, other = aws_security_group.nlb["nlb"].id, port = one.port, what = "NLB to ${key}"
    } },
    { for block in local.has_rest ? var.rest.cidr_blocks : [] : "alb-${block}" => {
      group = aws_security_group.alb["alb"].id, cidr = block, other = null, port = 443, what = "Callers of the REST API"
    } },
    { for name, number in local.rest_ports : "tasks-${name}" => {
      group = aws_security_group.tasks.id, cidr = null, other = aws_security_group.alb["alb"].id, port = number, what = "ALB to ${name}"
    } },
    { for name, group in try(var.discovery.scraper_security_group_ids, {}) : "tasks-scraper-${name}" => {
      group = aws_security_group.tasks.id, cidr = null, other = group, port = local.observe_port, what = "Metrics to ${name}"
    } },
    { for key in local.has_efs ? ["nfs"] : [] : "spool-${key}" => {
      group = local.spool_security_group_id, cidr = null, other = aws_security_group.tasks.id, port = 2049, what = "NFS from the tasks"
    } },
  )
  egress = merge(
    { for key, one in local.device_listeners : "nlb-${key}" => {
      group = aws_security_group.nlb["nlb"].id, cidr = null, other = aws_security_group.tasks.id, port = one.port, what = "NLB to ${key}"
    } },
    { for name, number in local.rest_ports : "alb-${name}" => {
      group = aws_security_group.alb["alb"].id, cidr = null, other = aws_security_group.tasks.id, port = number, what = "ALB to ${name}"
    } },
    { https = { group = aws_security_group.tasks.id, cidr = "0.0.0.0/0", other = null, port = 443, what = "AWS APIs, token issuers" } },
    { for key in local.has_efs ? ["nfs"] : [] : "tasks-${key}" => {
      group = aws_security_group.tasks.id, cidr = null, other = local.spool_security_group_id, port = 2049, what = "NFS to the spool"
    } },
    { for name, one in var.extra_egress : "tasks-extra-${name}" => {
      group = aws_security_group.tasks.id, cidr = one.cidr_block, other = null, port = one.port, what = "Way out: ${name}"
    } },
  )
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.ingress

  security_group_id            = each.value.group
  description                  = each.value.what
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr != null && !strcontains(coalesce(each.value.cidr, "-"), ":") ? each.value.cidr : null
  cidr_ipv6                    = each.value.cidr != null && strcontains(coalesce(each.value.cidr, "-"), ":") ? each.value.cidr : null
  referenced_security_group_id = each.value.other
  tags                         = merge(local.tags, { Name = each.key })
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.egress

  security_group_id            = each.value.group
  description                  = each.value.what
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr != null && !strcontains(coalesce(each.value.cidr, "-"), ":") ? each.value.cidr : null
  cidr_ipv6                    = each.value.cidr != null && strcontains(coalesce(each.value.cidr, "-"), ":") ? each.value.cidr : null
  referenced_security_group_id = each.value.other
  tags                         = merge(local.tags, { Name = each.key })
}
