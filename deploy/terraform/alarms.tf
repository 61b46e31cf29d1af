# Alarms by name. critical: a deployment that sets one off is rolled back.

locals {
  service_dimensions = { ClusterName = local.cluster_name, ServiceName = local.service_name }

  plain_alarms = merge(
    {
      cpu = {
        critical = false, namespace = "AWS/ECS", metric = "CPUUtilization", statistic = "Average", dimensions = local.service_dimensions
        period   = 60, periods = 10, operator = "GreaterThanThreshold", threshold = var.alarms.cpu_percent, missing = "missing"
        what     = "The tasks are short of CPU: raise autoscaling.max_tasks or look for a storm"
      }
      memory = {
        critical = false, namespace = "AWS/ECS", metric = "MemoryUtilization", statistic = "Maximum", dimensions = local.service_dimensions
        period   = 60, periods = 5, operator = "GreaterThanThreshold", threshold = var.alarms.memory_percent, missing = "missing"
        what     = "A task is short of memory: it will be killed at 100 percent"
      }
    },
    { for key, name in local.stream_names : "throttled-${key}" => {
      critical = false, namespace = "AWS/Kinesis", metric = "WriteProvisionedThroughputExceeded", statistic = "Sum", dimensions = { StreamName = name }
      period   = 60, periods = 5, operator = "GreaterThanThreshold", threshold = 0, missing = "notBreaching"
      what     = "The stream takes less than comes: add shards"
    } },
    { for key, balancer in aws_lb.alb : "rest-5xx" => {
      critical = true, namespace = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum", dimensions = { LoadBalancer = balancer.arn_suffix }
      period   = 60, periods = 3, operator = "GreaterThanThreshold", threshold = 10, missing = "notBreaching"
      what     = "The REST API answers with errors of its own (503: no room in the spool)"
    } },
    { for key in var.emf_namespace == null ? [] : ["delivery-lag"] : key => {
      critical = true, namespace = var.emf_namespace, metric = "delivery_lag_seconds", statistic = "Maximum", dimensions = { service = local.name }
      period   = 60, periods = 5, operator = "GreaterThanThreshold", threshold = var.alarms.delivery_lag_seconds, missing = "missing"
      what     = "Records wait too long for their sink"
    } },
    { for key in var.emf_namespace == null ? [] : ["spool-full"] : key => {
      critical = false, namespace = var.emf_namespace, metric = "spool_used_percent", statistic = "Maximum", dimensions = { service = local.name }
      period   = 60, periods = 3, operator = "GreaterThanThreshold", threshold = var.alarms.spool_percent, missing = "missing"
      what     = "A spool is nearly full: then devices get no answers"
    } },
    { for key in var.emf_namespace == null ? [] : ["dead-letters"] : key => {
      critical = false, namespace = var.emf_namespace, metric = "dead_letters", statistic = "Sum", dimensions = { service = local.name }
      period   = 300, periods = 1, operator = "GreaterThanThreshold", threshold = var.alarms.dead_letters, missing = "notBreaching"
      what     = "Many frames cannot become records: a spec does not fit its devices"
    } },
  )

  # Over both colours, since after a blue/green deployment the other one is empty.
  healthy_alarms = { for key, one in local.targets : "no-target-${key}" => {
    namespace    = one.proxy ? "AWS/NetworkELB" : "AWS/ApplicationELB"
    balancer     = one.proxy ? aws_lb.nlb["nlb"].arn_suffix : aws_lb.alb["alb"].arn_suffix
    group_suffix = { for color in local.colors : color => one.proxy ? aws_lb_target_group.device["${key}-${color}"].arn_suffix : aws_lb_target_group.rest["${key}-${color}"].arn_suffix }
    critical     = true
    what         = "No task takes traffic on ${key}"
  } }

  alarms = {
    for key, one in merge(local.plain_alarms, local.healthy_alarms) : key => { name = "${local.name}-${key}", critical = one.critical } if var.alarms.enabled
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for key, one in local.plain_alarms : key => one if var.alarms.enabled }

  alarm_name          = local.alarms[each.key].name
  alarm_description   = each.value.what
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = each.value.dimensions
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarms.topic_arns
  ok_actions          = var.alarms.topic_arns
  tags                = merge(local.tags, { Name = local.alarms[each.key].name })
}

resource "aws_cloudwatch_metric_alarm" "healthy" {
  for_each = { for key, one in local.healthy_alarms : key => one if var.alarms.enabled }

  alarm_name          = local.alarms[each.key].name
  alarm_description   = each.value.what
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarms.topic_arns
  ok_actions          = var.alarms.topic_arns

  metric_query {
    id          = "targets"
    expression  = join(" + ", [for color in local.colors : "FILL(${color}, 0)"])
    label       = "Healthy targets"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.group_suffix
    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = each.value.namespace
        metric_name = "HealthyHostCount"
        stat        = "Minimum"
        period      = 60
        dimensions  = { LoadBalancer = each.value.balancer, TargetGroup = metric_query.value }
      }
    }
  }

  tags = merge(local.tags, { Name = local.alarms[each.key].name })
}
