# Inputs about storage and the service that are refused, and what only AWS can tell. Each case breaks one rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment        = "prd"
  image              = "iotlink-gateway:0.1.0"
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = ["subnet-a", "subnet-b"]
  nlb                = { cidr_blocks = ["10.0.0.0/8"] }
  tcp_listeners      = { trackers = {} }
  settings           = { auth = { devices = "open" } }
}

run "spool_without_efs" {
  command = plan
  variables {
    ack_on = "spool"
  }
  expect_failures = [var.ack_on]
}

run "ack_on_nothing_known" {
  command = plan
  variables {
    ack_on = "memory"
  }
  expect_failures = [var.ack_on]
}

run "spool_larger_than_the_disk" {
  command = plan
  variables {
    spool = { max_gib = 18 }
  }
  expect_failures = [var.spool]
}

run "efs_without_its_security_group" {
  command = plan
  variables {
    spool = { efs = { file_system_id = "fs-1" } }
  }
  expect_failures = [var.spool]
}

run "throughput_without_a_number" {
  command = plan
  variables {
    spool = { efs = { throughput_mode = "provisioned" } }
  }
  expect_failures = [var.spool]
}

run "disk_too_small" {
  command = plan
  variables {
    ephemeral_storage_gib = 20
  }
  expect_failures = [var.ephemeral_storage_gib]
}

run "no_telemetry" {
  command = plan
  variables {
    streams = { alerts = {} }
  }
  expect_failures = [var.streams]
}

run "stream_unknown" {
  command = plan
  variables {
    streams = { telemetry = {}, other = {} }
  }
  expect_failures = [var.streams]
}

run "stream_by_name" {
  command = plan
  variables {
    streams = { telemetry = { existing_arn = "telemetry" } }
  }
  expect_failures = [var.streams]
}

run "packing_unknown" {
  command = plan
  variables {
    streams = { telemetry = { packing = "zip" } }
  }
  expect_failures = [var.streams]
}

run "retention_too_short" {
  command = plan
  variables {
    streams = { telemetry = { retention_hours = 1 } }
  }
  expect_failures = [var.streams]
}

run "cpu_unknown" {
  command = plan
  variables {
    cpu = 1000
  }
  expect_failures = [var.cpu]
}

run "cpu_and_memory_that_do_not_fit" {
  command = plan
  variables {
    memory_mib = 1024
  }
  expect_failures = [var.memory_mib]
}

run "architecture_unknown" {
  command = plan
  variables {
    cpu_architecture = "arm"
  }
  expect_failures = [var.cpu_architecture]
}

run "fewer_files_than_connections" {
  command = plan
  variables {
    tcp_listeners = { trackers = { max_connections = 65536 } }
  }
  expect_failures = [var.nofile]
}

run "capacity_provider_unknown" {
  command = plan
  variables {
    capacity_providers = { EC2 = {} }
  }
  expect_failures = [var.capacity_providers]
}

run "fewer_at_most_than_at_least" {
  command = plan
  variables {
    autoscaling = { min_tasks = 4, max_tasks = 2 }
  }
  expect_failures = [var.autoscaling]
}

run "one_task_in_prd" {
  command = plan
  variables {
    autoscaling = { min_tasks = 1 }
  }
  expect_failures = [var.autoscaling]
}

run "sessions_without_figures" {
  command = plan
  variables {
    autoscaling = { sessions_per_task = 1000 }
  }
  expect_failures = [var.autoscaling]
}

run "sessions_beyond_files" {
  command = plan
  variables {
    autoscaling   = { sessions_per_task = 65536 }
    emf_namespace = "IotLink"
  }
  expect_failures = [var.autoscaling]
}

run "namespace_of_aws" {
  command = plan
  variables {
    emf_namespace = "AWS/ECS"
  }
  expect_failures = [var.emf_namespace]
}

run "strategy_unknown" {
  command = plan
  variables {
    deployment = { strategy = "CANARY" }
  }
  expect_failures = [var.deployment]
}

run "no_room_for_new_tasks" {
  command = plan
  variables {
    deployment = { maximum_percent = 100 }
  }
  expect_failures = [var.deployment]
}

run "retention_unknown" {
  command = plan
  variables {
    logs = { retention_days = 31 }
  }
  expect_failures = [var.logs]
}

run "topic_by_name" {
  command = plan
  variables {
    alarms = { topic_arns = ["oncall"] }
  }
  expect_failures = [var.alarms]
}

run "cluster_by_name" {
  command = plan
  variables {
    cluster_arn = "shared"
  }
  expect_failures = [var.cluster_arn]
}

run "subnet_of_another_vpc" {
  command = plan
  variables {
    vpc_id = "vpc-0fedcba9876543210"
  }
  expect_failures = [data.aws_subnet.private["0"], data.aws_subnet.private["1"]]
}

run "public_subnet" {
  command = plan
  override_data {
    target = data.aws_subnet.private
    values = { vpc_id = "vpc-0123456789abcdef0", map_public_ip_on_launch = true, availability_zone = "eu-central-1a" }
  }
  expect_failures = [data.aws_subnet.private["0"], data.aws_subnet.private["1"]]
}

run "one_zone" {
  command = plan
  override_data {
    target = data.aws_subnet.private
    values = { vpc_id = "vpc-0123456789abcdef0", map_public_ip_on_launch = false, availability_zone = "eu-central-1a" }
  }
  expect_failures = [aws_ecs_service.rolling["this"]]
}

run "secret_in_the_way_of_a_setting" {
  command = plan
  variables {
    secrets = { IOTLINK_ACK_ON = "arn:aws:ssm:eu-central-1:111122223333:parameter/ack" }
  }
  expect_failures = [aws_ecs_task_definition.this]
}

run "stream_of_another_account" {
  command = plan
  variables {
    streams = { telemetry = { existing_arn = "arn:aws:kinesis:eu-central-1:444455556666:stream/theirs" } }
  }
  expect_failures = [aws_ecs_task_definition.this]
}
