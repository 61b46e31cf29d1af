# An NLB for devices, an ALB for the REST API, and their target groups: one for each port, two with blue/green.

resource "aws_lb" "nlb" {
  #checkov:skip=CKV_AWS_150:`deletion_protection`, true unless said otherwise
  #checkov:skip=CKV_AWS_152:`nlb.cross_zone`, true unless said otherwise
  for_each = aws_security_group.nlb

  name                             = "${local.name}-nlb"
  load_balancer_type               = "network"
  internal                         = var.nlb.internal
  subnets                          = local.load_balancer_subnet_ids
  security_groups                  = [each.value.id]
  enable_cross_zone_load_balancing = var.nlb.cross_zone
  enable_deletion_protection       = var.deletion_protection

  dynamic "access_logs" {
    for_each = var.nlb.access_logs_bucket[*]
    content {
      bucket  = access_logs.value
      prefix  = "${local.name}-nlb"
      enabled = true
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-nlb" })
}

resource "aws_lb" "alb" {
  #checkov:skip=CKV_AWS_150:`deletion_protection`, true unless said otherwise
  for_each = aws_security_group.alb

  name                       = "${local.name}-alb"
  load_balancer_type         = "application"
  internal                   = var.rest.internal
  subnets                    = local.load_balancer_subnet_ids
  security_groups            = [each.value.id]
  idle_timeout               = var.rest.idle_timeout_s
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"
  enable_deletion_protection = var.deletion_protection

  dynamic "access_logs" {
    for_each = var.rest.access_logs_bucket[*]
    content {
      bucket  = access_logs.value
      prefix  = "${local.name}-alb"
      enabled = true
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-alb" })
}

resource "aws_wafv2_web_acl_association" "alb" {
  for_each = { for key, balancer in aws_lb.alb : key => balancer if try(var.rest.web_acl_arn, null) != null }

  resource_arn = each.value.arn
  web_acl_arn  = var.rest.web_acl_arn
}

locals {
  colors = local.blue_green ? ["blue", "green"] : ["blue"]
  target_groups = { for pair in setproduct(keys(local.targets), local.colors) : "${pair[0]}-${pair[1]}" => merge(local.targets[pair[0]], {
    # What forces a new group is in its name, so that the new one can stand beside the old one.
    name = "${local.name}-${pair[0]}-${substr(sha1("${pair[1]}/${local.targets[pair[0]].port}"), 0, 3)}"
  }) }
}

# The NLB speaks PROXY v2, also in its health checks, whatever their protocol; the port for health does not understand that.
# So they are connections to the devices' own port, which is open while the gateway takes data.
resource "aws_lb_target_group" "device" {
  for_each = { for key, one in local.target_groups : key => one if one.proxy }

  name                 = each.value.name
  target_type          = "ip"
  protocol             = "TCP"
  port                 = each.value.port
  vpc_id               = var.vpc_id
  proxy_protocol_v2    = true
  preserve_client_ip   = "false" # the address is in the PROXY header; hairpinning works only so
  deregistration_delay = var.deployment.deregistration_delay_seconds

  health_check {
    protocol            = "TCP"
    port                = "traffic-port"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  # A gateway that stops listening settles what it has before it closes its connections.
  target_health_state {
    enable_unhealthy_connection_termination = false
  }

  lifecycle {
    create_before_destroy = true
  }

  tags = merge(local.tags, { Name = each.value.name })
}

resource "aws_lb_target_group" "rest" {
  #checkov:skip=CKV_AWS_378:the ALB ends TLS; behind it the traffic stays in the VPC, between two security groups
  for_each = { for key, one in local.target_groups : key => one if !one.proxy }

  name                          = each.value.name
  target_type                   = "ip"
  protocol                      = "HTTP"
  port                          = each.value.port
  vpc_id                        = var.vpc_id
  deregistration_delay          = var.deployment.deregistration_delay_seconds
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    protocol            = "HTTP"
    port                = tostring(local.observe_port)
    path                = "/readyz"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  lifecycle {
    create_before_destroy = true
  }

  tags = merge(local.tags, { Name = each.value.name })
}

resource "aws_lb_listener" "device" {
  #checkov:skip=CKV_AWS_2:an NLB: devices speak TCP, not HTTP
  #checkov:skip=CKV_AWS_103:trackers without TLS are what a TCP listener is for; with `tls` the policy is of TLS 1.2 and 1.3
  for_each = { for key, one in local.device_listeners : key => one if !local.blue_green }

  load_balancer_arn        = aws_lb.nlb["nlb"].arn
  port                     = each.value.nlb_port
  protocol                 = each.value.tls ? "TLS" : "TCP"
  certificate_arn          = each.value.tls ? var.nlb.certificate_arn : null
  ssl_policy               = each.value.tls ? var.nlb.ssl_policy : null
  tcp_idle_timeout_seconds = each.value.tls ? null : each.value.idle_timeout_s

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.device["${each.key}-blue"].arn
  }

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })
}

# The same, whose target ECS changes at each deployment: `ignore_changes` cannot depend on a variable.
resource "aws_lb_listener" "device_blue_green" {
  #checkov:skip=CKV_AWS_2:an NLB: devices speak TCP, not HTTP
  #checkov:skip=CKV_AWS_103:trackers without TLS are what a TCP listener is for; with `tls` the policy is of TLS 1.2 and 1.3
  for_each = { for key, one in local.device_listeners : key => one if local.blue_green }

  load_balancer_arn        = aws_lb.nlb["nlb"].arn
  port                     = each.value.nlb_port
  protocol                 = each.value.tls ? "TLS" : "TCP"
  certificate_arn          = each.value.tls ? var.nlb.certificate_arn : null
  ssl_policy               = each.value.tls ? var.nlb.ssl_policy : null
  tcp_idle_timeout_seconds = each.value.tls ? null : each.value.idle_timeout_s

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.device["${each.key}-blue"].arn
  }

  lifecycle {
    ignore_changes = [default_action]
  }

  tags = merge(local.tags, { Name = "${local.name}-${each.key}" })
}

# HTTPS alone: a client that sends its key over plain HTTP is to notice.
resource "aws_lb_listener" "rest" {
  for_each = aws_lb.alb

  load_balancer_arn = each.value.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = var.rest.certificate_arn
  ssl_policy        = var.rest.ssl_policy

  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "application/problem+json"
      message_body = jsonencode({ title = "Not Found", status = 404 })
      status_code  = "404"
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-rest" })
}

resource "aws_lb_listener_rule" "rest" {
  for_each = { for key, listener in aws_lb_listener.rest : key => listener if !local.blue_green }

  listener_arn = each.value.arn
  priority     = 10

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.rest["rest-blue"].arn
  }
  condition {
    path_pattern {
      values = ["/*"]
    }
  }

  tags = merge(local.tags, { Name = "${local.name}-rest" })
}

resource "aws_lb_listener_rule" "rest_blue_green" {
  for_each = { for key, listener in aws_lb_listener.rest : key => listener if local.blue_green }

  listener_arn = each.value.arn
  priority     = 10

  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.rest["rest-blue"].arn
        weight = 100
      }
      target_group {
        arn    = aws_lb_target_group.rest["rest-green"].arn
        weight = 0
      }
    }
  }
  condition {
    path_pattern {
      values = ["/*"]
    }
  }

  lifecycle {
    ignore_changes = [action] # ECS moves the weights
  }

  tags = merge(local.tags, { Name = "${local.name}-rest" })
}

locals {
  target_group_arns = merge(
    { for key, group in aws_lb_target_group.device : key => group.arn },
    { for key, group in aws_lb_target_group.rest : key => group.arn },
  )
  # What ECS moves: listeners of the NLB, the rule of the ALB.
  production_arns = merge(
    { for key, listener in aws_lb_listener.device_blue_green : key => listener.arn },
    { for key, rule in aws_lb_listener_rule.rest_blue_green : "rest" => rule.arn },
  )
}
