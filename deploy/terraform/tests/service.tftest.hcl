# The service, its load balancers, streams, permissions and scaling.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment        = "prd"
  image              = "iotlink-gateway:0.1.0"
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
  nlb                = { cidr_blocks = ["10.0.0.0/8", "2001:db8::/32"], certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/d" }
  tcp_listeners      = { trackers = { idle_timeout_s = 900, nlb_idle_timeout_s = 1200 } }
  mqtt_listeners     = { mqtts = { nlb_port = 8883, tls = true } }
  rest               = { cidr_blocks = ["10.0.0.0/8"], certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/r" }
  settings           = { auth = { devices = "open", anonymous_rest = true } }
}

run "rolling" {
  assert {
    condition     = aws_ecs_service.rolling["this"].network_configuration[0].assign_public_ip == false && aws_ecs_service.rolling["this"].network_configuration[0].subnets == toset(["subnet-a", "subnet-b", "subnet-c"])
    error_message = "Tasks stand in the private subnets, without a public address."
  }
  assert {
    condition     = aws_ecs_service.rolling["this"].deployment_circuit_breaker[0].enable && aws_ecs_service.rolling["this"].deployment_circuit_breaker[0].rollback
    error_message = "A deployment that does not start is rolled back."
  }
  assert {
    condition     = { for one in aws_ecs_service.rolling["this"].load_balancer : one.container_port => one.container_name } == { "1883" = "gateway", "5023" = "gateway", "8080" = "gateway" }
    error_message = "Each port has a target group."
  }
  assert {
    condition     = aws_ecs_service.rolling["this"].health_check_grace_period_seconds == 120 && length(aws_ecs_service.blue_green) == 0 && length(aws_lb_target_group.device) == 2
    error_message = "Rolling has one target group for each port, and a grace period."
  }
  assert {
    condition     = aws_ecs_service.rolling["this"].alarms[0].alarm_names == toset(["iotlink-prd-no-target-mqtts", "iotlink-prd-no-target-rest", "iotlink-prd-no-target-trackers", "iotlink-prd-rest-5xx"])
    error_message = "Critical alarms roll a deployment back."
  }
  assert {
    condition     = length(aws_service_discovery_service.this) == 1 && length(aws_ecs_service.rolling["this"].service_registries) == 1
    error_message = "Prometheus finds the tasks by DNS."
  }
}

run "load_balancers" {
  assert {
    condition     = alltrue([for group in aws_lb_target_group.device : group.proxy_protocol_v2 && group.target_type == "ip" && group.health_check[0].port == "traffic-port"])
    error_message = "The NLB speaks PROXY v2."
  }
  assert {
    condition     = aws_lb_listener.device["trackers"].protocol == "TCP" && aws_lb_listener.device["trackers"].tcp_idle_timeout_seconds == 1200
    error_message = "A TCP listener has its idle time-out."
  }
  assert {
    condition     = aws_lb_listener.device["mqtts"].protocol == "TLS" && aws_lb_listener.device["mqtts"].port == 8883 && aws_lb_listener.device["mqtts"].certificate_arn != null
    error_message = "A TLS listener has its certificate."
  }
  assert {
    condition     = aws_lb_listener.rest["alb"].protocol == "HTTPS" && aws_lb_target_group.rest["rest-blue"].health_check[0].path == "/readyz" && aws_lb_target_group.rest["rest-blue"].health_check[0].port == "9464"
    error_message = "The ALB speaks HTTPS and asks whether the task is ready."
  }
  assert {
    condition     = aws_lb.nlb["nlb"].internal && aws_lb.alb["alb"].internal && aws_lb.alb["alb"].enable_deletion_protection
    error_message = "Internal, and protected, unless said otherwise."
  }
  assert {
    condition     = alltrue([for group in merge(aws_lb_target_group.device, aws_lb_target_group.rest) : length(group.name) <= 32])
    error_message = "Names of target groups have 32 characters at most."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["nlb-trackers-2001:db8::/32"].cidr_ipv6 == "2001:db8::/32" && aws_vpc_security_group_ingress_rule.this["nlb-trackers-10.0.0.0/8"].cidr_ipv4 == "10.0.0.0/8"
    error_message = "Blocks of both families."
  }
  assert {
    condition     = alltrue([for rule in values(local.ingress) : rule.cidr == null && rule.other != null if rule.group == aws_security_group.tasks.id])
    error_message = "Tasks are reached through other security groups only."
  }
}

run "blue_green" {
  variables {
    deployment = { strategy = "BLUE_GREEN", bake_minutes = 30 }
  }

  assert {
    condition     = length(aws_ecs_service.rolling) == 0 && aws_ecs_service.blue_green["this"].deployment_configuration[0].strategy == "BLUE_GREEN" && aws_ecs_service.blue_green["this"].deployment_configuration[0].bake_time_in_minutes == "30"
    error_message = "Blue/green with its bake time."
  }
  assert {
    condition     = length(aws_lb_target_group.device) == 4 && length(aws_lb_target_group.rest) == 2 && length(distinct([for group in aws_lb_target_group.device : group.name])) == 4
    error_message = "Two target groups for each port."
  }
  assert {
    condition = alltrue([for one in aws_ecs_service.blue_green["this"].load_balancer : one.advanced_configuration[0].alternate_target_group_arn != one.target_group_arn
    && one.advanced_configuration[0].role_arn == aws_iam_role.traffic["traffic"].arn])
    error_message = "ECS knows both groups and has a role to swap them."
  }
  assert {
    condition     = toset([for one in aws_ecs_service.blue_green["this"].load_balancer : one.advanced_configuration[0].production_listener_rule]) == toset(concat(values(aws_lb_listener.device_blue_green)[*].arn, values(aws_lb_listener_rule.rest_blue_green)[*].arn))
    error_message = "It moves the NLB's listeners and the ALB's rule."
  }
}

run "permissions" {
  assert {
    condition     = [for one in jsondecode(aws_iam_role_policy.task.policy).Statement : one.Sid] == ["Streams"]
    error_message = "The gateway may write to its streams and nothing else."
  }
  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.task.policy).Statement[0].Action) == toset(["kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecords"])
    error_message = "Exactly what the gateway calls."
  }
  assert {
    condition     = alltrue([for one in concat(jsondecode(aws_iam_role_policy.task.policy).Statement, jsondecode(aws_iam_role_policy.execution.policy).Statement) : alltrue([for action in one.Action : !strcontains(action, "*")])])
    error_message = "No action with a wildcard."
  }
  assert {
    condition     = jsondecode(aws_iam_role.task.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "Only tasks of this account take the role."
  }
}

run "streams" {
  variables {
    streams = {
      telemetry = { shards = 4, kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/k" }
      alerts    = { existing_arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/their-alerts" }
    }
  }

  assert {
    condition     = keys(aws_kinesis_stream.this) == ["telemetry"] && aws_kinesis_stream.this["telemetry"].shard_count == 4 && aws_kinesis_stream.this["telemetry"].encryption_type == "KMS"
    error_message = "Streams that exist are not made."
  }
  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_SINKS__ALERTS"]).stream == "their-alerts" && contains(jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource, "arn:aws:kinesis:eu-central-1:111122223333:stream/their-alerts")
    error_message = "They are written to."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[1].Action == ["kms:GenerateDataKey"] && jsondecode(aws_iam_role_policy.task.policy).Statement[1].Resource == ["arn:aws:kms:eu-central-1:111122223333:key/k"]
    error_message = "With their keys."
  }
  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_RAW_ARCHIVE"]).enabled == false && jsondecode(output.gateway_environment["IOTLINK_DEAD_LETTERS"]).also_to == null
    error_message = "What has no stream is off."
  }
}

run "scaling" {
  variables {
    autoscaling   = { min_tasks = 3, max_tasks = 9, sessions_per_task = 20000 }
    emf_namespace = "IotLink"
  }

  assert {
    condition     = aws_appautoscaling_target.tasks.min_capacity == 3 && aws_appautoscaling_target.tasks.max_capacity == 9
    error_message = "Number of tasks."
  }
  assert {
    condition     = aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ECSServiceAverageCPUUtilization"
    error_message = "By CPU."
  }
  assert {
    condition     = aws_appautoscaling_policy.sessions["sessions"].target_tracking_scaling_policy_configuration[0].target_value == 20000 && aws_appautoscaling_policy.sessions["sessions"].target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].namespace == "IotLink"
    error_message = "By sessions."
  }
  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_OBSERVE"]).emf == { namespace = "IotLink", service = "iotlink-prd" }
    error_message = "The gateway writes its figures where they are looked for."
  }
  assert {
    condition     = toset(keys(output.alarm_names)) == toset(["cpu", "memory", "throttled-telemetry", "throttled-alerts", "throttled-raw", "throttled-dead_letters", "rest-5xx", "delivery-lag", "spool-full", "dead-letters", "no-target-trackers", "no-target-mqtts", "no-target-rest"])
    error_message = "Alarms on all of it."
  }
}

run "existing_cluster" {
  variables {
    cluster_arn = "arn:aws:ecs:eu-central-1:111122223333:cluster/shared"
    discovery   = null
    alarms      = { enabled = false }
  }

  assert {
    condition     = length(aws_ecs_cluster.this) == 0 && aws_appautoscaling_target.tasks.resource_id == "service/shared/iotlink-prd"
    error_message = "A cluster that exists is used."
  }
  assert {
    condition     = length(aws_service_discovery_service.this) == 0 && length(aws_ecs_service.rolling["this"].alarms) == 0 && length(output.alarm_names) == 0
    error_message = "Neither Cloud Map nor alarms if not wanted."
  }
}

run "brokers_only" {
  variables {
    nlb            = null
    tcp_listeners  = {}
    mqtt_listeners = {}
    rest           = null
    settings       = { auth = { devices = "open" }, sources = [{ type = "mqtt_broker", name = "plant", url = "mqtt://broker.plant.internal:1883", filters = ["plant/#"], shared_group = "iotlink" }] }
    extra_egress   = { plant = { cidr_block = "10.1.0.0/16", port = 1883 } }
  }

  assert {
    condition     = length(aws_lb.nlb) == 0 && length(aws_lb.alb) == 0 && length(aws_ecs_service.rolling["this"].load_balancer) == 0
    error_message = "A gateway that only subscribes to brokers needs no load balancer."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.this["tasks-extra-plant"].from_port == 1883
    error_message = "It gets out to them."
  }
}
