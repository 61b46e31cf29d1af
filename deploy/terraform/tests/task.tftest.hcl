# The container as it will run.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment        = "stg"
  image              = "iotlink-gateway:0.1.0"
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = ["subnet-a", "subnet-b"]
  nlb                = { cidr_blocks = ["10.0.0.0/8"] }
  tcp_listeners      = { trackers = { products = ["concox_gt06"] } }
  mqtt_listeners     = { mqtt = {} }
  settings           = { auth = { devices = "open" } }
}

run "container" {
  assert {
    condition     = local.container_definition.user == "10001:10001" && local.container_definition.readonlyRootFilesystem
    error_message = "The container runs as uid 10001 on a read-only root."
  }
  assert {
    condition     = local.container_definition.stopTimeout == 120
    error_message = "The gateway has 120 s for its drain."
  }
  assert {
    condition     = local.container_definition.ulimits == [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
    error_message = "nofile is 65536."
  }
  assert {
    condition     = local.container_definition.healthCheck.command == ["CMD", "iotlink", "healthcheck"]
    error_message = "The health check asks the gateway itself."
  }
  assert {
    condition     = local.container_definition.linuxParameters.capabilities.drop == ["ALL"] && local.container_definition.linuxParameters.initProcessEnabled
    error_message = "No capabilities, and an init process."
  }
  assert {
    condition     = [for port in local.container_definition.portMappings : port.containerPort] == [1883, 5023, 9464]
    error_message = "One port for each listener, and that of the metrics."
  }
  assert {
    condition     = local.container_definition.logConfiguration.options["awslogs-group"] == "/iotlink/iotlink-stg" && local.container_definition.logConfiguration.options["mode"] == "non-blocking"
    error_message = "The log goes to its group and does not block."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].name == "gateway" && aws_ecs_task_definition.this.network_mode == "awsvpc"
    error_message = "The task definition holds that container."
  }
}

run "configuration" {
  variables {
    settings = { auth = { devices = "open" }, gateway = { codec = "fused" }, provisioning = "known", mqtt = { topics = [{ template = "plant/{device_id}/up" }] } }
  }

  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_GATEWAY"]) == { codec = "fused", data_dir = "/var/lib/iotlink", env = "stg" }
    error_message = "Keys of `settings` stand beside those of the module."
  }
  assert {
    condition     = length(jsondecode(output.gateway_environment["IOTLINK_MQTT"]).topics) == 1 && jsondecode(output.gateway_environment["IOTLINK_MQTT"]).listeners[0].proxy_protocol
    error_message = "A section keeps what `settings` says beside the listeners."
  }
  assert {
    condition     = output.gateway_environment["IOTLINK_PROVISIONING"] == "\"known\"" && jsondecode(output.gateway_environment["IOTLINK_REST"]).listeners == []
    error_message = "Other settings pass; a face without listeners has none."
  }
  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_SINKS__DEAD_LETTERS"]).stream == "iotlink-stg-dead-letters" && jsondecode(output.gateway_environment["IOTLINK_DEAD_LETTERS"]).also_to == "dead_letters"
    error_message = "Dead letters go to their stream as well."
  }
  assert {
    condition     = jsondecode(output.gateway_environment["IOTLINK_ROUTES"])[0].to == ["alerts", "telemetry"]
    error_message = "Alerts go to both streams."
  }
  assert {
    condition     = !can(jsondecode(output.gateway_environment["IOTLINK_OBSERVE"]).emf)
    error_message = "No figures in the log unless asked for."
  }
}

run "secrets" {
  variables {
    secrets = {
      HMAC_ERP = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf:hmac::"
      API_KEY  = "arn:aws:ssm:eu-central-1:111122223333:parameter/iotlink/key"
    }
    secrets_kms_key_arns = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
  }

  assert {
    condition = local.container_definition.secrets == [
      { name = "API_KEY", valueFrom = "arn:aws:ssm:eu-central-1:111122223333:parameter/iotlink/key" },
      { name = "HMAC_ERP", valueFrom = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf:hmac::" },
    ]
    error_message = "Secrets are injected by reference."
  }
  assert {
    condition = { for one in jsondecode(aws_iam_role_policy.execution.policy).Statement : one.Sid => one.Resource if one.Sid != "Log" } == {
      Secrets    = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:erp-AbCdEf"]
      Parameters = ["arn:aws:ssm:eu-central-1:111122223333:parameter/iotlink/key"]
      SecretKeys = ["arn:aws:kms:eu-central-1:111122223333:key/k"]
    }
    error_message = "The execution role reads these secrets and nothing else."
  }
}

run "spool_on_sink_without_efs" {
  assert {
    condition     = output.ack_on == "sink" && output.gateway_environment["IOTLINK_ACK_ON"] == "\"sink\"" && output.spool_file_system_id == null
    error_message = "Without EFS a device gets its answer from the sink."
  }
  assert {
    condition     = length(aws_efs_access_point.spool) == 0 && [for mount in local.container_definition.mountPoints : mount.sourceVolume] == ["data"]
    error_message = "No EFS unless asked for."
  }
}

run "spool_on_efs" {
  variables {
    spool = { efs = {} }
  }

  assert {
    condition     = output.ack_on == "spool" && jsondecode(output.gateway_environment["IOTLINK_SPOOL"]) == { dir = "/var/spool/iotlink", max_bytes = "4GiB" }
    error_message = "With EFS a device gets its answer when its data is there."
  }
  assert {
    condition     = aws_efs_access_point.spool["spool"].posix_user[0].uid == 10001 && aws_efs_access_point.spool["spool"].root_directory[0].path == "/iotlink-stg/spool"
    error_message = "The access point is that of the gateway's user."
  }
  assert {
    condition     = aws_efs_file_system.spool["spool"].encrypted && length(aws_efs_mount_target.spool) == 2
    error_message = "Encrypted, and reachable from each subnet."
  }
  assert {
    condition = anytrue([for volume in aws_ecs_task_definition.this.volume : volume.name == "spool" && alltrue([for efs in volume.efs_volume_configuration :
      efs.transit_encryption == "ENABLED" && alltrue([for auth in efs.authorization_config : auth.iam == "ENABLED"])
    ])])
    error_message = "Mounted with TLS and IAM."
  }
  assert {
    condition     = contains([for one in jsondecode(aws_iam_role_policy.task.policy).Statement : one.Sid], "Spool")
    error_message = "The task role may mount it."
  }
}

run "spool_on_efs_that_exists" {
  variables {
    spool = { efs = { file_system_id = "fs-0123", security_group_id = "sg-efs" } }
  }

  assert {
    condition     = length(aws_efs_file_system.spool) == 0 && output.spool_file_system_id == "fs-0123" && aws_efs_access_point.spool["spool"].file_system_id == "fs-0123"
    error_message = "An existing file system gets an access point."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["spool-nfs"].security_group_id == "sg-efs"
    error_message = "Its security group lets the tasks in."
  }
}

run "sink_although_efs" {
  variables {
    ack_on = "sink"
    spool  = { efs = {} }
  }

  assert {
    condition     = output.ack_on == "sink"
    error_message = "What is asked for is done."
  }
}
