resource "aws_ecs_cluster" "this" {
  for_each = toset(var.cluster_arn == null ? ["this"] : [])

  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  tags = merge(local.tags, { Name = local.name })
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  for_each = aws_ecs_cluster.this

  cluster_name       = each.value.name
  capacity_providers = keys(var.capacity_providers)
}

locals {
  cluster_arn  = var.cluster_arn == null ? aws_ecs_cluster.this["this"].arn : var.cluster_arn
  cluster_name = var.cluster_arn == null ? aws_ecs_cluster.this["this"].name : element(split("/", var.cluster_arn), 1)
  service_name = local.name

  # By name, and not by the alarm: an alarm looks at the service.
  rollback_alarms = [for key, one in local.alarms : one.name if one.critical && var.deployment.rollback]
}

resource "aws_ecs_service" "rolling" {
  for_each = toset(local.blue_green ? [] : ["this"])

  name                               = local.service_name
  cluster                            = local.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.autoscaling.min_tasks
  platform_version                   = "1.4.0" # the one with EFS
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  availability_zone_rebalancing      = "ENABLED"
  health_check_grace_period_seconds  = length(local.targets) > 0 ? var.deployment.health_check_grace_seconds : null
  deployment_minimum_healthy_percent = var.deployment.minimum_healthy_percent
  deployment_maximum_percent         = var.deployment.maximum_percent
  wait_for_steady_state              = var.deployment.wait

  deployment_circuit_breaker {
    enable   = true
    rollback = var.deployment.rollback
  }

  dynamic "alarms" {
    for_each = length(local.rollback_alarms) > 0 ? [local.rollback_alarms] : []
    content {
      alarm_names = alarms.value
      enable      = true
      rollback    = true
    }
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_providers
    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value.weight
      base              = capacity_provider_strategy.value.base
    }
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = local.targets
    content {
      container_name   = local.container_name
      container_port   = load_balancer.value.port
      target_group_arn = local.target_group_arns["${load_balancer.key}-blue"]
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this
    content {
      registry_arn = service_registries.value.arn
    }
  }

  lifecycle {
    ignore_changes = [desired_count] # autoscaling sets it

    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.private : subnet.availability_zone])) >= 2
      error_message = "The subnets of `private_subnet_ids` are all in one availability zone: add one of another zone."
    }
  }

  # Tasks that start before their permissions, their spool or their way in count as failed.
  depends_on = [
    aws_cloudwatch_metric_alarm.healthy,
    aws_cloudwatch_metric_alarm.this,
    aws_ecs_cluster_capacity_providers.this,
    aws_efs_mount_target.spool,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_lb_listener.device,
    aws_lb_listener_rule.rest,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_ingress_rule.this,
  ]

  tags = merge(local.tags, { Name = local.name })
}

# The same for blue/green: ECS swaps the target groups at each deployment, and an apply must not swap them back.
resource "aws_ecs_service" "blue_green" {
  for_each = toset(local.blue_green ? ["this"] : [])

  name                               = local.service_name
  cluster                            = local.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  desired_count                      = var.autoscaling.min_tasks
  platform_version                   = "1.4.0"
  enable_ecs_managed_tags            = true
  propagate_tags                     = "SERVICE"
  availability_zone_rebalancing      = "ENABLED"
  health_check_grace_period_seconds  = var.deployment.health_check_grace_seconds
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  wait_for_steady_state              = var.deployment.wait

  deployment_configuration {
    strategy             = "BLUE_GREEN"
    bake_time_in_minutes = tostring(var.deployment.bake_minutes)
  }

  dynamic "alarms" {
    for_each = length(local.rollback_alarms) > 0 ? [local.rollback_alarms] : []
    content {
      alarm_names = alarms.value
      enable      = true
      rollback    = true
    }
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.capacity_providers
    content {
      capacity_provider = capacity_provider_strategy.key
      weight            = capacity_provider_strategy.value.weight
      base              = capacity_provider_strategy.value.base
    }
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = local.targets
    content {
      container_name   = local.container_name
      container_port   = load_balancer.value.port
      target_group_arn = local.target_group_arns["${load_balancer.key}-blue"]

      advanced_configuration {
        alternate_target_group_arn = local.target_group_arns["${load_balancer.key}-green"]
        production_listener_rule   = local.production_arns[load_balancer.key]
        role_arn                   = aws_iam_role.traffic["traffic"].arn
      }
    }
  }

  dynamic "service_registries" {
    for_each = aws_service_discovery_service.this
    content {
      registry_arn = service_registries.value.arn
    }
  }

  lifecycle {
    ignore_changes = [desired_count, load_balancer]

    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.private : subnet.availability_zone])) >= 2
      error_message = "The subnets of `private_subnet_ids` are all in one availability zone: add one of another zone."
    }
  }

  depends_on = [
    aws_cloudwatch_metric_alarm.healthy,
    aws_cloudwatch_metric_alarm.this,
    aws_ecs_cluster_capacity_providers.this,
    aws_efs_mount_target.spool,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_iam_role_policy_attachment.traffic,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_ingress_rule.this,
  ]

  tags = merge(local.tags, { Name = local.name })
}
